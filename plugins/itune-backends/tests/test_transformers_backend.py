"""The backend on a two-layer model with random weights, against plain transformers."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from itune_backends.transformers_backend import WINDOW, Transformers
from itune_core.api import Answer, Ask, Embed, Failed, LogProbs, ModelError, ModelSource, TokenLogProbs, message

Opening = Callable[..., Transformers]

QUESTIONS = [
    "Why is the sky blue?",
    "Sort these numbers: 42, 7, 19.",
    "Write a short letter to a neighbour who has lent you a ladder, and thank them for their patience.",
    "Hi",
    "Explain in one sentence why the train was late.",
]


def ask(question: str, **settings: Any) -> Ask:
    return Ask("tiny", [message("user", question)], **{"max_tokens": 12, **settings})


def pair(question: str, answer: str, **settings: Any) -> LogProbs:
    return LogProbs("tiny", [message("user", question)], [message("assistant", answer)], **settings)


def variant(folder: Path, into: Path, *, context: int | None = None, template: str | None = None) -> Path:
    """A copy of a saved model with another context length or chat template."""
    shutil.copytree(folder, into)
    if context is not None:
        config = json.loads((into / "config.json").read_text())
        (into / "config.json").write_text(json.dumps({**config, "max_position_embeddings": context}))
    if template is not None:
        (into / "chat_template.jinja").write_text(template)
    return into


MIXED = [
    (ask(QUESTIONS[0]), [0]),
    (ask(QUESTIONS[1], temperature=0.8), [11, 12, 13]),
    (ask(QUESTIONS[2], temperature=0.8), [14]),
    (ask("word " * 3000), [0]),  # more than the model reads
    (ask(QUESTIONS[3], max_tokens=5), [0, 0]),
    (ask(QUESTIONS[4], temperature=0.8, top_p=0.5), [15, 16]),
    (ask(QUESTIONS[0], temperature=0.8), [11]),
    (ask(QUESTIONS[1], temperature=0.8, top_k=4), [11, 12]),
    (ask(QUESTIONS[2], presence_penalty=1.5), [0]),
]


@pytest.mark.parametrize(("batch_tokens", "max_batch"), [(1, 16), (10_000, 1), (150, 3), (10_000, 64)])
def test_answers_do_not_depend_on_the_batch(opened: Opening, batch_tokens: int, max_batch: int) -> None:
    alone = [next(opened().generate([item])) for item in MIXED]
    replies = list(opened(batch_tokens=batch_tokens, max_batch=max_batch).generate(MIXED))
    assert replies == alone
    assert [len(reply.completions) for reply in replies if isinstance(reply, Answer)] == [1, 3, 1, 2, 2, 1, 2, 1]
    assert isinstance(replies[3], Failed)


def test_answers_do_not_depend_on_the_order(opened: Opening) -> None:
    backend = opened()
    assert list(backend.generate(MIXED[::-1])) == list(backend.generate(MIXED))[::-1]


def test_a_greedy_answer_is_what_transformers_generates(opened: Opening, tiny_folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    model = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32).eval()
    replies = list(opened().generate([(ask(question), [0]) for question in QUESTIONS]))
    for question, reply in zip(QUESTIONS, replies, strict=True):
        ids = tokenizer.apply_chat_template(
            [{"role": "user", "content": question}], add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        with torch.no_grad():
            out = model.generate(**ids, max_new_tokens=12, do_sample=False)[0, ids["input_ids"].shape[1] :]
        assert isinstance(reply, Answer)
        assert reply.text == tokenizer.decode(out, skip_special_tokens=True)
        assert reply.completions[0].prompt_tokens == ids["input_ids"].shape[1]
        assert reply.completions[0].completion_tokens == len(out)


def test_a_draw_is_named_by_its_seed(opened: Opening) -> None:
    backend = opened()
    [answer] = backend.generate([(ask(QUESTIONS[0], temperature=1.0, n=9), [1, 2, 1])])
    assert isinstance(answer, Answer)
    first, second, again = answer.texts  # as many as there are seeds: the journal may hold the others
    assert first == again != second


def test_a_stop_string_ends_an_answer_and_is_not_part_of_it(opened: Opening) -> None:
    backend = opened()
    [free] = backend.generate([(ask(QUESTIONS[0]), [0])])
    assert isinstance(free, Answer)
    assert free.completions[0].finish == "length"
    stop = free.text[4:7]
    [stopped] = backend.generate([(ask(QUESTIONS[0], stop=[stop]), [0])])
    assert isinstance(stopped, Answer)
    assert stopped.text == free.text[: free.text.index(stop)]
    assert stopped.completions[0].finish == "stop"
    assert stopped.completions[0].completion_tokens < free.completions[0].completion_tokens


def test_log_probabilities_are_those_of_the_logits(opened: Opening, tiny_folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    model = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32).eval()
    before = "<|im_start|>user\nWhy is the sky blue?<|im_end|>\n<|im_start|>assistant\n"
    start = len(tokenizer(before)["input_ids"])
    ids = torch.tensor([tokenizer(before + "Because.<|im_end|>\n")["input_ids"]])
    with torch.no_grad():
        logs = model(ids).logits.log_softmax(-1)[0, start - 1 : -1]
    expected = logs.gather(1, ids[0, start:, None]).squeeze(1).tolist()
    [scored] = opened().logprobs([pair(QUESTIONS[0], "Because.")])
    assert isinstance(scored, TokenLogProbs)
    assert scored.values == pytest.approx(expected, abs=1e-4)


def test_log_probabilities_depend_neither_on_the_batch_nor_on_the_order(
    opened: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [pair(question, answer) for question in QUESTIONS for answer in ("Yes.", "Because of the snow. " * 20)]
    requests.insert(3, pair("word " * 3000, "Yes."))
    requests.insert(5, LogProbs("tiny", [], [message("assistant", "Plain text.")]))
    alone = [next(opened().logprobs([request])) for request in requests]

    def same(replies: list[TokenLogProbs | Failed]) -> None:
        assert len(replies) == len(alone)
        for one, other in zip(alone, replies, strict=True):
            assert type(one) is type(other)
            if isinstance(one, TokenLogProbs) and isinstance(other, TokenLogProbs):
                assert other.values == pytest.approx(one.values, abs=1e-5)

    backend = opened()
    same(list(backend.logprobs(requests)))
    same(list(backend.logprobs(requests[::-1]))[::-1])
    monkeypatch.setattr("itune_torch.rows_are_isolated", lambda model: False)
    for max_batch in (1, 3, 16):
        same(list(opened(max_batch=max_batch).logprobs(requests)))


def test_what_does_not_fit_fails_and_its_neighbours_do_not(opened: Opening, tiny_folder: Path, tmp_path: Path) -> None:
    backend = opened(variant(tiny_folder, tmp_path / "short", context=48))
    fits, long = "Hi", "word " * 20
    replies = list(backend.generate([(ask(fits), [0]), (ask(long), [0]), (ask(fits, max_tokens=47), [0])]))
    assert isinstance(replies[0], Answer)
    assert [reply.code for reply in replies[1:] if isinstance(reply, Failed)] == ["E-BACKEND-003"] * 2
    scored = list(backend.logprobs([pair(long, "Yes."), pair(fits, "Yes."), pair(fits, "Yes.", max_length=10)]))
    assert isinstance(scored[1], TokenLogProbs)
    assert [reply.code for reply in scored if isinstance(reply, Failed)] == ["E-BACKEND-004", "E-TORCH-017"]


def test_a_conversation_that_the_template_refuses_fails_alone(
    opened: Opening, tiny_folder: Path, tmp_path: Path
) -> None:
    template = (tiny_folder / "chat_template.jinja").read_text()
    strict = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system turns') }}{% endif %}" + template
    backend = opened(variant(tiny_folder, tmp_path / "strict", template=strict))
    asks = [
        Ask("tiny", [message("system", "Be brief."), message("user", "Hi")], max_tokens=2),
        Ask("tiny", [message("assistant", "", tool_calls="{not json"), message("user", "Hi")], max_tokens=2),
        ask("Hi", max_tokens=2),
    ]
    refused, broken, fine = backend.generate([(item, [0]) for item in asks])
    assert isinstance(refused, Failed)
    assert (refused.code, "no system turns" in refused.message) == ("E-TORCH-012", True)
    assert isinstance(broken, Failed)
    assert broken.code == "E-TORCH-021"
    assert isinstance(fine, Answer)


def test_a_model_without_a_chat_template_cannot_be_asked(opened: Opening, tiny_folder: Path, tmp_path: Path) -> None:
    folder = variant(tiny_folder, tmp_path / "base")
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="E-TORCH-011"):
        list(opened(folder).generate([(ask("Hi"), [0])]))


def test_an_adapter_is_put_on_top_of_its_base(opened: Opening, tiny_folder: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
    adapted = get_peft_model(base, LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)).eval()
    adapted.save_pretrained(tmp_path / "adapter")
    source = ModelSource(tiny_folder, "transformers", "adapted", "sft", adapter=tmp_path / "adapter")
    request = pair(QUESTIONS[0], "Because.")
    [with_adapter] = opened(source).logprobs([request])
    [without] = opened().logprobs([request])

    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    text = "<|im_start|>user\nWhy is the sky blue?<|im_end|>\n<|im_start|>assistant\nBecause.<|im_end|>\n"
    ids = torch.tensor([tokenizer(text)["input_ids"]])
    with torch.no_grad():
        logs = adapted(ids).logits.log_softmax(-1)[0, :-1].gather(1, ids[0, 1:, None]).squeeze(1)
    assert isinstance(with_adapter, TokenLogProbs)
    assert isinstance(without, TokenLogProbs)
    assert with_adapter.values == pytest.approx(logs[-len(with_adapter) :].tolist(), abs=1e-4)
    assert with_adapter.values != pytest.approx(without.values, abs=0.1)


def test_bfloat16_weights_give_the_same_to_their_precision(opened: Opening) -> None:
    request = pair(QUESTIONS[0], "Because of the snow.")
    [exact], [rounded] = opened().logprobs([request]), opened(dtype="bfloat16").logprobs([request])
    assert isinstance(exact, TokenLogProbs)
    assert isinstance(rounded, TokenLogProbs)
    assert rounded.values != exact.values
    assert rounded.values == pytest.approx(exact.values, abs=0.2)


def test_answers_flow_while_the_rest_is_still_to_be_generated(opened: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    import itune_torch

    made: list[int] = []
    real = itune_torch.generate

    def counted(model: Any, tokenizer: Any, prompts: Any, **settings: Any) -> Any:
        made.append(len(prompts))
        return real(model, tokenizer, prompts, **settings)

    monkeypatch.setattr(itune_torch, "generate", counted)
    replies = opened(max_batch=1).generate([(ask(f"Count to {n}.", max_tokens=1), [0]) for n in range(3 * WINDOW)])
    next(replies)
    assert sum(made) == WINDOW
    assert len(list(replies)) == 3 * WINDOW - 1


class Known:
    """Facts measured before."""

    def __init__(self, **facts: Any) -> None:
        self.facts, self.asked = facts, []

    def get(self, name: str, measure: Callable[[], Any]) -> Any:
        self.asked.append(name)
        return self.facts[name] if name in self.facts else measure()


@pytest.mark.parametrize(
    ("settings", "device", "speedup", "settled"),
    [
        ({}, "cpu", 1.9, ("cpu", "bfloat16")),
        ({}, "cpu", 0.4, ("cpu", "float32")),
        ({}, "mps", 1.9, ("cpu", "bfloat16")),
        ({"dtype": "float32"}, "cpu", 1.9, ("cpu", "float32")),
        ({"device": "cpu", "dtype": "bfloat16"}, "cuda", 0.1, ("cpu", "bfloat16")),
    ],
)
def test_auto_follows_the_machine(settings: Any, device: str, speedup: float, settled: tuple[str, str]) -> None:
    facts = Known(**{"torch.best_device": device, "torch.bfloat16_speedup": speedup})
    config = Transformers(Transformers.Config(model="m", **settings)).settle(facts)
    assert (config.device, config.dtype) == settled
    assert len(facts.asked) == 2 - len(settings)  # nothing is measured that was said


def test_on_a_gpu_its_own_speed_counts() -> None:
    facts = Known(**{"torch.best_device": "cuda", "torch.bfloat16_speedup": 0.4, "torch.bfloat16_speedup.cuda": 3.0})
    assert Transformers(Transformers.Config(model="m")).settle(facts).dtype == "bfloat16"


def test_a_fact_that_is_not_known_is_measured() -> None:
    config = Transformers(Transformers.Config(model="m", device="cpu")).settle(Known())
    assert config.dtype in ("float32", "bfloat16")


def test_a_model_is_asked_only_for_what_it_does(opened: Opening, tiny_folder: Path) -> None:
    backend = opened()
    with pytest.raises(ModelError, match="E-BACKEND-002"):
        list(backend.embed([Embed("tiny", ["Hi"])]))
    backend.close()
    with pytest.raises(ModelError, match="E-BACKEND-002"):
        list(backend.generate([(ask("Hi"), [0])]))
    vectors = ModelSource(tiny_folder, "transformers", "r", "vectors", architecture="embedding")
    for source in (vectors, None):
        with pytest.raises(ModelError, match="E-BACKEND-001"):
            Transformers(Transformers.Config(model="m")).open(source)


def test_importing_the_component_imports_no_torch() -> None:
    code = (
        "import sys, itune_backends.transformers_backend as module;"
        "module.Transformers.Config(model='m');"
        "print([name for name in ('torch', 'transformers', 'datasets') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
