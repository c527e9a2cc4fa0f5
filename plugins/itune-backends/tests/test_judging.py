"""Rewards from the backend, against plain transformers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from itune_backends.transformers_backend import Transformers
from itune_core.api import AnswerRewards, Ask, Failed, LogProbs, ModelError, ModelSource, Rewards, message
from itune_torch import make_tiny_reward

Opening = Callable[..., Transformers]

PROMPT = [message("user", "Why is the sky blue?")]
ANSWERS = ["Because air scatters short waves more.", "No.", "Ask the sea. " * 12]


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    folder = make_tiny_reward(tmp_path_factory.mktemp("judge"))
    return ModelSource(folder, "transformers", "judge", "judge", architecture="reward")


def question(*answers: str, **settings: Any) -> Rewards:
    return Rewards("judge", PROMPT, [[message("assistant", answer)] for answer in answers], **settings)


def test_a_reward_is_what_transformers_says_of_the_text(opened: Opening, judge: ModelSource) -> None:
    tokenizer = AutoTokenizer.from_pretrained(judge.files)
    model = AutoModelForSequenceClassification.from_pretrained(judge.files, dtype=torch.float32).eval()
    before = "<|im_start|>user\nWhy is the sky blue?<|im_end|>\n<|im_start|>assistant\n"
    with torch.no_grad():
        expected = [
            model(torch.tensor([tokenizer(f"{before}{answer}<|im_end|>\n")["input_ids"]])).logits.item()
            for answer in ANSWERS
        ]
    [judged] = opened(judge).rewards([question(*ANSWERS)])
    assert isinstance(judged, AnswerRewards)
    assert judged.values == pytest.approx(expected, abs=1e-4)


def test_rewards_depend_neither_on_the_batch_nor_on_the_order(
    opened: Opening, judge: ModelSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [question(*ANSWERS), question("Yes."), question(*ANSWERS[:2], "Perhaps."), question(ANSWERS[2])]
    alone = [opened(judge).rewards([request]).__next__().values for request in requests]
    backend = opened(judge)

    def same(replies: list[Any]) -> None:
        for one, other in zip(alone, replies, strict=True):
            assert other.values == pytest.approx(one, abs=1e-5)

    same(list(backend.rewards(requests)))
    same(list(backend.rewards(requests[::-1]))[::-1])
    monkeypatch.setattr("itune_torch.rows_are_isolated", lambda model: False)
    for max_batch in (1, 2, 16):
        same(list(opened(judge, max_batch=max_batch).rewards(requests)))


def test_what_is_too_long_fails_alone(opened: Opening, judge: ModelSource) -> None:
    requests = [
        question("Yes."),
        question("Yes.", "word " * 100, max_length=60),
        question("word " * 3000),
        question("No."),
    ]
    requests[2] = Rewards("judge", PROMPT, requests[2].completions, max_length=1_000_000)
    first, *failed, last = opened(judge).rewards(requests)
    assert isinstance(first, AnswerRewards)
    assert isinstance(last, AnswerRewards)
    assert [reply.code for reply in failed if isinstance(reply, Failed)] == ["E-TORCH-017", "E-BACKEND-004"]


def test_a_reward_model_only_judges_and_a_language_model_does_not(opened: Opening, judge: ModelSource) -> None:
    backend = opened(judge)
    answer = [message("assistant", "Because.")]
    with pytest.raises(ModelError, match="does not answer questions"):
        list(backend.generate([(Ask("judge", PROMPT), [0])]))
    with pytest.raises(ModelError, match="does not score completions"):
        list(backend.logprobs([LogProbs("judge", PROMPT, answer)]))
    with pytest.raises(ModelError, match="does not judge answers"):
        list(opened().rewards([question("Because.")]))
    backend.close()
    with pytest.raises(ModelError, match="E-BACKEND-002"):
        list(backend.rewards([question("Because.")]))


def test_a_language_model_is_not_opened_as_a_reward_model(opened: Opening, tiny_folder: Path) -> None:
    with pytest.raises(ModelError, match="E-TORCH-037"):
        opened(ModelSource(tiny_folder, "transformers", "t", "tiny", architecture="reward"))


def test_what_it_reads_can_be_shown(opened: Opening, judge: ModelSource) -> None:
    shown = opened(judge).render(question("Because.", "No."), judge)
    assert shown == "<|im_start|>user\nWhy is the sky blue?<|im_end|>\n<|im_start|>assistant\nBecause.<|im_end|>\n"
