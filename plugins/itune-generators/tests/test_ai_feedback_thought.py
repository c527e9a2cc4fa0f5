"""A judge that thinks in writing before it compares, and labels that are moved towards the middle for it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import (
    Answer,
    Ask,
    Choices,
    Completion,
    Created,
    Drop,
    Failed,
    OptionLogProbs,
    Reply,
    Request,
    features,
    message,
    preference,
)
from itune_core.testing import BenchContext
from itune_generators.ai_feedback import AiFeedback
from itune_generators.feedback.orders import Look, averaged, clamped

GOOD, BAD = "Ask him for quiet hours.", "Cut the cables."
PAIR = preference(
    [message("user", "How do I stop the drums?")], [message("assistant", BAD)], [message("assistant", GOOD)]
)


def label(folder: Path, reply: Callable[[Request], Reply | Failed], **settings: Any) -> Any:
    rows = datasets.Dataset.from_list([{**PAIR, "id": "r0"}], features=features(PAIR.kind))
    component = AiFeedback(AiFeedback.Config(**{"judge": "judge", "thought": True, **settings}))
    [(_, made)] = component.itune_generate(inputs={"records": rows}, context=BenchContext(folder, reply=reply))
    return made


def thinking(thought: str, first: Callable[[str], float], asked: list[Request]) -> Callable[[Request], Reply]:
    """A judge that writes the same whatever it is shown, and names the first with a probability of the question."""

    def reply(request: Request) -> Reply:
        asked.append(request)
        if isinstance(request, Ask):
            return Answer([Completion(thought, "stop", 99, 9)])
        assert isinstance(request, Choices)
        share = first(request.prompt[-1]["content"])
        return OptionLogProbs([math.log(share), math.log(1 - share)])

    return reply


def good_first(text: str) -> bool:
    return text.index(GOOD) < text.index(BAD)


@pytest.mark.parametrize("language", ["en", "ko", "ja"])
def test_a_walk_through(tmp_path: Path, language: str) -> None:
    asked: list[Request] = []
    notes = "The cables are his. {{ first }} \x07"
    made = label(tmp_path, thinking(notes, lambda text: 0.999 if good_first(text) else 0.45, asked), language=language)
    assert isinstance(made, Created)
    assert made.record["chosen"][-1]["content"] == GOOD
    # As it says so in one order only: (0.6 + 1 - 0.45) / 2.
    assert made.record["probability"] == pytest.approx(0.575)
    told = json.loads(made.record["meta"])["ai_feedback"]
    assert sorted(round(value, 3) for value in told["looks"][0]) == [0.45, 0.999]  # as the judge said it
    thoughts, choices = asked[:2], asked[2:]
    assert [type(request) for request in asked] == [Ask, Ask, Choices, Choices]
    for think, choose in zip(thoughts, choices, strict=True):
        assert isinstance(think, Ask)
        assert isinstance(choose, Choices)
        question, compared = think.messages[-1]["content"], choose.prompt[-1]["content"]
        assert (think.max_tokens, think.temperature) == (256, 0.0)
        assert good_first(question) == good_first(compared)
        assert notes not in question
        assert notes in compared


def test_a_judge_that_thinks_by_itself_gets_room_for_it(tmp_path: Path) -> None:
    asked: list[Request] = []
    label(tmp_path, thinking("<think>Well.</think>Hm.", lambda _: 0.9, asked), thought_tokens=4096)
    assert [request.max_tokens for request in asked if isinstance(request, Ask)] == [4096] * 2


def test_position_bias_cancels_out_after_a_thought(tmp_path: Path) -> None:
    made = label(tmp_path, thinking("Hm.", lambda _: 0.98, []))
    assert isinstance(made, Drop)
    assert made.reason == "undecided"


def test_without_a_thought_there_is_no_label(tmp_path: Path) -> None:
    made = label(tmp_path, thinking(" \n", lambda _: 0.9, []))
    assert isinstance(made, Failed)
    assert made.code == "E-GEN-032"
    made = label(tmp_path, lambda request: Failed("E-TEST", "gone"))
    assert made == Failed("E-TEST", "1 of 1 comparisons failed; the first, answers 0 and 1: gone")


def test_a_judge_that_does_not_think_is_asked_as_before(tmp_path: Path) -> None:
    asked: list[Request] = []
    made = label(tmp_path, thinking("", lambda text: 0.9 if good_first(text) else 0.2, asked), thought=False)
    assert made.record["probability"] == pytest.approx(0.85)
    assert all(isinstance(request, Choices) for request in asked)
    assert not any("<notes>" in request.prompt[-1]["content"] for request in asked)  # type: ignore[union-attr]


@given(st.floats(0, 1), st.floats(0, 1))
def test_clamped_probabilities(forward: float, backward: float) -> None:
    look = clamped(Look(forward, backward))
    assert all(0.4 <= value <= 0.6 for value in look)
    assert clamped(look) == look
    assert abs(averaged([look]).first - 0.5) <= 0.1 + 1e-12
    mirrored = clamped(Look(1 - forward, 1 - backward))
    assert look.forward + mirrored.forward == pytest.approx(1)
