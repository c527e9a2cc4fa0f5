"""What vLLM is asked and what it answers, by value; that without it nothing begins; and, where it is, the real one."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from transformers import AutoTokenizer

from itune_backends import offline
from itune_backends.choosing import first_tokens
from itune_backends.scoring import encode
from itune_backends.vllm_backend import VLLM
from itune_core.api import Ask, Choices, Failed, LogProbs, ModelError, ModelSource, RowError, message

TURNS = [message("user", "Why is the sky blue?")]
ANSWER = [message("assistant", "Because.")]


@pytest.fixture
def tokenizer(tiny_folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny_folder)


def test_without_vllm_nothing_begins(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)  # as if it were not installed
    backend = VLLM(VLLM.Config(model="m"))
    source = ModelSource(tiny_folder, "transformers", "tiny", "tiny")
    for begin in (lambda: backend.settle(None), lambda: backend.open(source)):  # type: ignore[arg-type]
        with pytest.raises(ModelError) as caught:
            begin()
        assert (caught.value.code, caught.value.fix) == ("E-BACKEND-035", "pip install 'itune-backends[vllm]'")


@pytest.mark.parametrize("architecture", ["reward", "seq2seq", "embedding", None])
def test_it_runs_causal_models_only(tiny_folder: Path, architecture: Any) -> None:
    source = ModelSource(tiny_folder, "transformers", "r", "r", architecture=architecture) if architecture else None
    with pytest.raises(ModelError, match="E-BACKEND-001"):
        VLLM(VLLM.Config(model="m")).open(source)


def test_a_question_is_the_tokens_of_its_template_and_what_it_is_drawn_with(tokenizer: Any) -> None:
    ask = Ask("m", TURNS, max_tokens=9, temperature=0.7, top_p=0.9, top_k=40, presence_penalty=1.5, stop=["\n"])
    job = offline.to_write(tokenizer, ask, 77, 512)
    rendered = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Why is the sky blue?"}], add_generation_prompt=True, return_dict=True
    )
    assert job.ids == rendered["input_ids"]
    assert job.sampling == {
        "max_tokens": 9,
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 40,
        "presence_penalty": 1.5,
        "stop": ["\n"],
        "seed": 77,
    }
    greedy = offline.to_write(tokenizer, Ask("m", TURNS, schema={"type": "integer"}), 77, 512)
    assert "seed" not in greedy.sampling
    assert greedy.schema == {"type": "integer"}
    with pytest.raises(RowError, match="E-BACKEND-003"):
        offline.to_write(tokenizer, Ask("m", TURNS, max_tokens=500), 0, 512)


def test_a_row_is_scored_at_the_places_that_a_trainer_trains(tokenizer: Any) -> None:
    request = LogProbs("m", TURNS, ANSWER)
    row = encode(tokenizer, request, None)
    job = offline.to_score(tokenizer, request, 512)
    assert job.ids == list(row.ids)
    assert [place in job.wanted for place in range(len(job.ids))] == list(row.trained)
    assert (job.sampling["prompt_logprobs"], job.sampling["max_tokens"]) == (0, 1)
    places = [None, *({token: SimpleNamespace(logprob=-place / 4)} for place, token in enumerate(job.ids[1:], 1))]
    scored = offline.scored(SimpleNamespace(prompt_logprobs=places), job)
    assert scored.values == [-place / 4 for place in job.wanted]
    with pytest.raises(RowError, match="E-BACKEND-004"):
        offline.to_score(tokenizer, request, len(job.ids))  # there is no room for the token that vLLM writes


def test_options_are_weighed_in_one_pass(tokenizer: Any) -> None:
    request = Choices("m", TURNS, ["Yes", "No"])
    rows = first_tokens(request, lambda each: encode(tokenizer, each, None))
    job = offline.to_choose(tokenizer, request, 512)
    assert [[*job.ids, token] for token in job.wanted] == [list(row.ids) for row in rows]
    assert job.sampling["logprob_token_ids"] == job.wanted
    found = {token: SimpleNamespace(logprob=value) for token, value in zip(job.wanted, [-0.5, -1.5], strict=True)}
    output = SimpleNamespace(outputs=[SimpleNamespace(logprobs=[{**found, 0: SimpleNamespace(logprob=-9.0)}])])
    assert offline.chosen(output, job).values == [-0.5, -1.5]


def test_an_answer_is_what_was_written_and_counted() -> None:
    made = SimpleNamespace(text="Because.", finish_reason="stop", token_ids=(1, 2, 3))
    said = offline.written(SimpleNamespace(outputs=[made], prompt_token_ids=[0] * 5))
    assert (said.text, said.finish, said.prompt_tokens, said.completion_tokens) == ("Because.", "stop", 5, 3)
    made.finish_reason = "abort"
    with pytest.raises(RowError, match="E-BACKEND-036"):
        offline.written(SimpleNamespace(outputs=[made], prompt_token_ids=[0] * 5))


def test_importing_the_component_imports_neither_torch_nor_vllm() -> None:
    code = (
        "import sys, itune_backends.vllm_backend as module;"
        "module.VLLM.Config(model='m');"
        "print([name for name in ('torch', 'transformers', 'vllm') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


if find_spec("vllm") is not None:  # not skipped elsewhere: that would be a test that nobody has run

    @pytest.mark.slow
    def test_vllm_answers_as_transformers_does(tmp_path: Path) -> None:
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM

        from itune_backends.transformers_backend import Transformers
        from itune_torch import make_tiny_llama

        folder = make_tiny_llama(tmp_path / "model")
        config = AutoConfig.from_pretrained(folder)
        config.update({"hidden_size": 128, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 64})
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)  # heads of vLLM's sizes
        source = ModelSource(folder, "transformers", "wide", "wide")
        served = VLLM(
            VLLM.Config(
                model="m", dtype="float32", context=512, max_batch=16, memory=0.3, engine={"enforce_eager": True}
            )
        )
        plain = Transformers(Transformers.Config(model="m", dtype="float32", device="cpu"))
        for backend in (served, plain):
            backend.open(source)
        asks = [(Ask("m", TURNS, max_tokens=8), [0, 0]), (Ask("m", [message("user", "word " * 3000)]), [0])]
        greedy, too_long = served.generate(asks)
        assert greedy == next(iter(plain.generate(asks)))
        assert isinstance(too_long, Failed)
        [drawn] = served.generate([(Ask("m", TURNS, max_tokens=8, temperature=1.0, top_k=50), [1, 2, 1])])
        assert drawn.texts[0] == drawn.texts[2] != drawn.texts[1]  # type: ignore[union-attr]
        rows = [LogProbs("m", TURNS, ANSWER), LogProbs("m", [], ANSWER)]
        for one, other in zip(served.logprobs(rows), plain.logprobs(rows), strict=True):
            assert one.values == pytest.approx(other.values, abs=1e-4)  # type: ignore[union-attr]
        options = [Choices("m", TURNS, ["Yes", "No"])]
        assert next(served.choices(options)).values == pytest.approx(  # type: ignore[union-attr]
            next(plain.choices(options)).values,  # type: ignore[union-attr]
            abs=1e-4,
        )
        served.close()
