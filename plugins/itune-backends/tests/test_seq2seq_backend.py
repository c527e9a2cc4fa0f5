"""The backend on an encoder-decoder model with random weights, against plain transformers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from itune_backends.transformers_backend import Transformers
from itune_core.api import Answer, Ask, Failed, LogProbs, ModelSource, TokenLogProbs, message

Opening = Callable[..., Transformers]

QUESTIONS = [
    "Why is the sky blue?",
    "Sort these numbers: 42, 7, 19.",
    "Write a short letter to a neighbour who has lent you a ladder, and thank them for their patience.",
    "Hi",
]


def ask(question: str, **settings: Any) -> Ask:
    return Ask("tiny", [message("user", question)], **{"max_tokens": 9, **settings})


def pair(question: str, answer: str, **settings: Any) -> LogProbs:
    return LogProbs("tiny", [message("user", question)], [message("assistant", answer)], **settings)


TURNS = [message("user", "Hi"), message("assistant", "Hi"), message("user", "Why?")]
MIXED = [
    (ask(QUESTIONS[0]), [0]),
    (ask(QUESTIONS[1], temperature=0.8), [11, 12, 13]),
    (Ask("tiny", TURNS), [0]),  # more than plain text can say
    (ask(QUESTIONS[3], max_tokens=5), [0, 0]),
    (ask(QUESTIONS[2], temperature=0.8, top_p=0.5), [15, 16]),
    (ask(QUESTIONS[0], temperature=0.8), [11]),
]


@pytest.mark.parametrize(("batch_tokens", "max_batch"), [(1, 16), (10_000, 1), (60, 3)])
def test_answers_do_not_depend_on_the_batch(
    opened: Opening, tiny_seq2seq_folder: Path, batch_tokens: int, max_batch: int
) -> None:
    whole = opened(tiny_seq2seq_folder)
    alone = [next(whole.generate([item])) for item in MIXED]
    replies = list(opened(tiny_seq2seq_folder, batch_tokens=batch_tokens, max_batch=max_batch).generate(MIXED))
    assert replies == alone
    assert [len(reply.completions) for reply in replies if isinstance(reply, Answer)] == [1, 3, 2, 2, 1]
    refused = replies[2]
    assert isinstance(refused, Failed)
    assert refused.code == "E-TORCH-041"


def test_a_greedy_answer_is_what_transformers_generates(opened: Opening, tiny_seq2seq_folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_seq2seq_folder)
    model = AutoModelForSeq2SeqLM.from_pretrained(tiny_seq2seq_folder, dtype=torch.float32).eval()
    replies = list(opened(tiny_seq2seq_folder).generate([(ask(question), [0]) for question in QUESTIONS]))
    for question, reply in zip(QUESTIONS, replies, strict=True):
        ids = tokenizer(question, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            out = model.generate(input_ids=ids, max_new_tokens=9, do_sample=False)[0, 1:]
        assert isinstance(reply, Answer)
        assert reply.text == tokenizer.decode(out, skip_special_tokens=True)
        assert reply.completions[0].prompt_tokens == ids.shape[1]
        assert reply.completions[0].completion_tokens == len(out)


def test_log_probabilities_are_those_of_the_logits(opened: Opening, tiny_seq2seq_folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_seq2seq_folder)
    model = AutoModelForSeq2SeqLM.from_pretrained(tiny_seq2seq_folder, dtype=torch.float32).eval()
    pairs = [(QUESTIONS[0], "Because air scatters short waves."), (QUESTIONS[2], "Yes."), (QUESTIONS[3], "Hi")]
    replies = list(opened(tiny_seq2seq_folder, max_batch=2).logprobs([pair(*each) for each in pairs]))
    for (question, answer), reply in zip(pairs, replies, strict=True):
        labels = tokenizer(text_target=answer, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            logits = model(input_ids=tokenizer(question, return_tensors="pt")["input_ids"], labels=labels).logits
        expected = logits.log_softmax(-1).gather(-1, labels[..., None]).flatten().tolist()
        assert isinstance(reply, TokenLogProbs)
        assert reply.values == pytest.approx(expected, abs=1e-4)


def test_what_cannot_be_scored_fails_by_itself(opened: Opening, tiny_seq2seq_folder: Path) -> None:
    requests = [
        LogProbs("tiny", [], [message("assistant", "A text of its own.")]),
        pair(QUESTIONS[0], "Because {so}."),
        pair(QUESTIONS[0], "Because air scatters light.", max_length=10),
        pair(QUESTIONS[0], "Because."),
    ]
    *failed, scored = opened(tiny_seq2seq_folder).logprobs(requests)
    assert [reply.code for reply in failed if isinstance(reply, Failed)] == [
        "E-TORCH-041",
        "E-TORCH-042",
        "E-TORCH-017",
    ]
    assert isinstance(scored, TokenLogProbs)


def test_each_side_has_the_context_for_itself(opened: Opening, tiny_seq2seq_folder: Path, tmp_path: Path) -> None:
    """T5 counts distances and has no longest row; BART's config says what its places are, on either side."""
    from transformers import BartConfig, BartForConditionalGeneration

    config = BartConfig(
        vocab_size=len(AutoTokenizer.from_pretrained(tiny_seq2seq_folder)),
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        max_position_embeddings=12,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=1,
        forced_eos_token_id=1,
    )
    folder = shutil.copytree(
        tiny_seq2seq_folder, tmp_path / "bart", ignore=shutil.ignore_patterns("*onfig.json", "*.safe*")
    )
    shutil.copy(tiny_seq2seq_folder / "tokenizer_config.json", folder)
    BartForConditionalGeneration(config).save_pretrained(folder)
    words = "the sky is blue the sky is blue the sky"  # ten tokens and the end
    long = f"{words} is blue"
    bart = opened(folder)
    replies = list(
        bart.generate([(ask(words, max_tokens=12), [0]), (ask(words, max_tokens=13), [0]), (ask(long), [0])])
    )
    assert [getattr(reply, "code", "answered") for reply in replies] == ["answered", "E-BACKEND-003", "E-BACKEND-003"]
    scored = bart.logprobs([pair(words, words), pair(words, long), pair(long, words)])
    assert [getattr(reply, "code", "scored") for reply in scored] == ["scored", "E-BACKEND-004", "E-BACKEND-004"]


def test_what_it_reads_can_be_shown(tiny_seq2seq_folder: Path) -> None:
    backend = Transformers(Transformers.Config(model="t5", dtype="float32", device="cpu"))
    for source in (
        ModelSource(tiny_seq2seq_folder, "transformers", "t5", "t5"),
        ModelSource(tiny_seq2seq_folder, "transformers", "t5", "step", architecture="seq2seq"),
    ):
        assert backend.render(ask(QUESTIONS[0]), source) == "Why is the sky blue?</s>"
        assert backend.render(pair(QUESTIONS[0], "Because."), source) == "Why is the sky blue?</s> Because.</s>"


def test_it_learns_in_a_run_and_is_measured_by_its_steps_name(tiny_seq2seq_folder: Path, tmp_path: Path) -> None:
    """From a recipe: trained, all weights and an adapter; then measured, each by its name."""
    pytest.importorskip("itune_trainers")
    pytest.importorskip("itune_generators")
    from datasets import load_from_disk

    from itune_core.engine import runner
    from itune_core.engine.home import Home
    from itune_core.engine.project import Project
    from itune_core.recipe.plan import compile

    rows = [{"instruction": question, "input": "", "output": "The answer is 3."} for question in QUESTIONS]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = "dtype: float32, device: cpu, learning_rate: 0.003, batch_size: 4, epochs: 30"
    (tmp_path / "recipe.yaml").write_text(f"""
itune: 1
name: seq2seq
models:
  t5: {{backend: transformers, model: "{tiny_seq2seq_folder}", dtype: float32, device: cpu}}
steps:
  rows:  {{uses: formatters/alpaca, with: {{path: rows.jsonl}}}}
  whole: {{uses: trainers/seq2seq-sft, from: rows, with: {{model: t5, adapter: none, {settings}}}}}
  small: {{uses: trainers/seq2seq-sft, from: rows, with: {{model: t5, {settings}}}}}
  told:  {{uses: generators/distill, from: rows, with: {{model: whole, max_tokens: 12}}}}
  loss:  {{uses: evaluators/inference-loss, from: rows, with: {{models: [t5, whole, small]}}}}
""")
    project = Project(compile(tmp_path / "recipe.yaml"), Home(tmp_path / ".itune"))
    made = runner.run(project).artifacts
    assert made["small"].manifest["architecture"] == "seq2seq"
    told = load_from_disk(made["told"].folder / "records")
    assert [row["messages"][-1]["content"] for row in told] == ["The answer is 3."] * len(QUESTIONS)
    metrics = made["loss"].manifest["metrics"]
    before, *after = (metrics[project.identity(name)]["token_mean"] for name in ("t5", "whole", "small"))
    assert before > 4
    assert max(after) < 1
