"""IFD: its two forms, what the answer is scored after, and both against plain transformers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import (
    Failed,
    LogProbs,
    Record,
    Reply,
    Request,
    Scorer,
    TokenLogProbs,
    conversation,
    features,
    message,
)
from itune_core.testing import BenchContext
from itune_scorers.ifd import Ifd
from itune_scorers.perplexity import Perplexity

Answering = Callable[[Request], Reply | Failed]

TALK = conversation(
    [
        message("system", "s"),
        message("user", "a"),
        message("assistant", "b"),
        message("user", "c"),
        message("assistant", "Snow had blocked a switch."),
    ]
)


def score(
    folder: Path, reply: Answering, *records: Record, component: type[Scorer] = Ifd, **settings: Any
) -> list[Any]:
    rows = datasets.Dataset.from_list(
        [{**record, "id": f"r{number}"} for number, record in enumerate(records)], features=features(records[0].kind)
    )
    scorer = component(component.Config(**{"model": "m", **settings}))
    return list(scorer.itune_score(inputs={"records": rows}, context=BenchContext(folder, reply=reply)))


def answering(conditioned: Sequence[float], alone: Sequence[float]) -> Answering:
    """Replies by whether the prompt says something."""

    def reply(request: Request) -> Reply:
        assert isinstance(request, LogProbs)
        return TokenLogProbs(conditioned if any(turn["content"] for turn in request.prompt) else alone)

    return reply


def test_both_forms(tmp_path: Path) -> None:
    [found] = score(tmp_path, answering([-1.0, -2.0], [-2.0, -4.0]), TALK)
    assert found == pytest.approx(
        {"": 0.5, "perplexities": math.exp(1.5 - 3), "conditioned": 1.5, "unconditioned": 3.0, "tokens": 2}
    )
    assert found.keys() == Ifd.columns.keys()


losses = st.lists(st.floats(-40, -1e-3), min_size=3, max_size=3)


@given(losses, losses)
def test_both_forms_lie_on_the_same_side_of_one(tmp_path_factory: Any, conditioned: Any, alone: Any) -> None:
    [found] = score(tmp_path_factory.getbasetemp(), answering(conditioned, alone), TALK)
    rounding = 1e-9
    assert found["perplexities"] <= 1 + rounding if found[""] <= 1 else found["perplexities"] >= 1 - rounding


@pytest.mark.parametrize(("alone", "before"), [("template", [("user", "")]), ("text", [])])
def test_what_is_asked(tmp_path: Path, alone: str, before: list[tuple[str, str]]) -> None:
    asked: list[LogProbs] = []

    def reply(request: Request) -> Reply:
        assert isinstance(request, LogProbs)
        asked.append(request)
        return TokenLogProbs([-1.0])

    score(tmp_path, reply, TALK, alone=alone, max_length=99)
    prompts = [[(turn["role"], turn["content"]) for turn in request.prompt] for request in asked]
    assert prompts == [[("system", "s"), ("user", "a"), ("assistant", "b"), ("user", "c")], before]
    for request in asked:
        assert [turn["content"] for turn in request.completion] == ["Snow had blocked a switch."]
        assert (request.model, request.max_length) == ("m", 99)


def test_an_answer_without_text_cannot_be_scored_as_text(tmp_path: Path) -> None:
    """A call of a tool: a template writes it, and of the plain text nothing is left."""
    silent = conversation([message("user", "a"), message("assistant", "", tool_calls='[{"name": "look"}]')])

    def never(_: Request) -> Reply:
        raise AssertionError("asked about an answer that has no text")

    [found] = score(tmp_path, never, silent, alone="text")
    assert isinstance(found, Failed)
    assert found.code == "E-SCORE-023"
    assert isinstance(score(tmp_path, answering([-1.0], [-2.0]), silent)[0], dict)


def test_half_of_it_is_what_perplexity_asks(tmp_path: Path) -> None:
    """So that a model that was asked for perplexity is asked for the other half only."""
    asked: list[Request] = []

    def reply(request: Request) -> Reply:
        asked.append(request)
        return TokenLogProbs([-1.0])

    score(tmp_path, reply, TALK, component=Perplexity)
    score(tmp_path, reply, TALK, component=Perplexity, condition="none")
    half, other = asked
    asked.clear()
    score(tmp_path, reply, TALK, alone="text")
    assert asked == [half, other]


def test_a_record_that_has_no_ratio_fails(tmp_path: Path) -> None:
    lonely = conversation([message("assistant", "d")])
    for record, reply, code in (
        (lonely, answering([-1.0], [-1.0]), "E-SCORE-020"),
        (TALK, answering([-1.0, -1.0], [-1.0]), "E-SCORE-021"),
        (TALK, answering([-1.0], [0.0]), "E-SCORE-022"),
        (TALK, answering([-math.inf], [-1.0]), "E-SCORE-002"),
        (TALK, answering([-1.0], [-math.inf]), "E-SCORE-002"),
    ):
        [found] = score(tmp_path, reply, record)
        assert isinstance(found, Failed)
        assert found.code == code
    [found] = score(tmp_path, answering([-1.0, -1.0], [-1.0]), TALK, alone="text")
    assert found["tokens"] == 2


def mean_loss(folder: Path, before: str, scored: str) -> float:
    """Cross-entropy of `scored` after `before`, from the full logits."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    context = tokenizer(before)["input_ids"]
    ids = torch.tensor([context + tokenizer(scored)["input_ids"]])
    first = max(len(context), 1)  # what opens a row has nothing before it
    with torch.no_grad():
        logits = model(ids).logits
    return float(torch.nn.functional.cross_entropy(logits[0, first - 1 : -1], ids[0, first:]))


@pytest.mark.parametrize("alone", ["template", "text"])
def test_against_plain_transformers(tiny: Answering, tiny_folder: Path, tmp_path: Path, alone: str) -> None:
    asked, answer = "Why was the train late?", "Snow had blocked a switch outside the station."
    [found] = score(
        tmp_path, tiny, conversation([message("user", asked), message("assistant", answer)]), model="tiny", alone=alone
    )
    header = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
    conditioned = mean_loss(tiny_folder, header.format(asked), f"{answer}<|im_end|>\n")
    if alone == "template":
        unconditioned = mean_loss(tiny_folder, header.format(""), f"{answer}<|im_end|>\n")
    else:
        unconditioned = mean_loss(tiny_folder, "", f"{answer}<|im_end|>")
    assert found[""] == pytest.approx(conditioned / unconditioned, rel=1e-5)
    assert found["perplexities"] == pytest.approx(math.exp(conditioned) / math.exp(unconditioned), rel=1e-4)
    assert (found["conditioned"], found["unconditioned"]) == pytest.approx((conditioned, unconditioned), rel=1e-5)
