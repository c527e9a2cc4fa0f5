"""Overlap with evaluation sets."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from itune_core.api import (
    DataError,
    Drop,
    Embed,
    Failed,
    Keep,
    Record,
    Reply,
    Request,
    Vectors,
    conversation,
    message,
    prompt,
    text,
)
from itune_core.testing import BenchContext
from itune_filters.decontaminate import Decontaminate

Check = Callable[..., list[Any]]


@pytest.fixture
def check(tmp_path: Path, make_data_set: Callable[[Sequence[Record]], Any]) -> Check:
    def check(rows: Sequence[Record], *sets: Sequence[Record], reply: Any = None, **settings: Any) -> list[Any]:
        inputs = {"records": make_data_set(rows), "against": [make_data_set(rows) for rows in sets]}
        filter_ = Decontaminate(Decontaminate.Config(**settings))
        return list(filter_.itune_filter(inputs=inputs, context=BenchContext(tmp_path, reply=reply)))

    return check


def asked(*questions: str, name: str = "r", answer: str = "Yes.", **common: Any) -> list[Record]:
    return [
        conversation([message("user", question), message("assistant", answer)], **common).replace(id=f"{name}{number}")
        for number, question in enumerate(questions)
    ]


def counted(first: int, last: int) -> str:
    return " ".join(f"w{number}" for number in range(first, last))


def test_thirteen_words_in_a_row_are_an_overlap_and_twelve_are_none(check: Check) -> None:
    rows = asked(f"Now: {counted(10, 23).upper()}.", f"Now: {counted(10, 22)}, and so on.", counted(50, 90))
    first, second = asked(counted(0, 30), name="e"), asked(counted(5, 30), counted(70, 90), name="f", source="bench")
    verdicts = check(rows, first, second)
    assert verdicts == [
        Drop("ngram-overlap", f'13 words of e0: "{counted(10, 23)[:60]}"'),
        Keep(),
        Drop("ngram-overlap", f'13 words of f1 (bench): "{counted(70, 83)[:60]}"'),
    ]
    assert check(rows, second, size=12)[1].detail.startswith("12 words of f0 (bench)")
    assert check(rows, first, size=14)[0] == Keep()


def test_a_short_question_is_compared_whole_and_a_short_answer_or_later_turn_is_not(check: Check) -> None:
    evaluation = asked("Who wrote Faust?", name="e")
    turns = [
        message("user", "Tell me of Faust."),
        message("assistant", "Of what?"),
        message("user", "Who wrote Faust?"),
    ]
    later = conversation([*turns, message("assistant", "Goethe.")], id="later")
    rows = [*asked("who wrote FAUST", "Who wrote Faust and when?", answer="Who wrote Faust?"), later]
    assert check(rows, evaluation, on="all") == [
        Drop("ngram-overlap", '3 words of e0: "who wrote faust"'),
        Keep(),
        Keep(),
    ]
    assert check(rows, asked("Tell me of Faust", name="e"))[2].detail == '4 words of e0: "tell me of faust"'


def test_which_part_is_compared_is_the_same_on_both_sides(check: Check) -> None:
    passage = counted(0, 20)
    in_question, in_answer = asked(passage), asked("Go on.", answer=passage)
    assert check(in_question, in_question) != [Keep()]
    assert check(in_question, asked("What?", answer=passage, name="e")) == [Keep()]
    assert check(in_answer, asked("What?", answer=passage, name="e"), on="response") != [Keep()]
    assert check(in_answer, in_question, on="all") != [Keep()]
    assert check([text(passage, id="t")], in_question) != [Keep()]


def test_runs_do_not_reach_over_turns(check: Check) -> None:
    turns = [message("user", counted(0, 10)), message("assistant", counted(10, 20)), message("user", "And?")]
    assert check([prompt(turns, id="r")], asked(counted(3, 20), name="e")) == [Keep()]


@pytest.mark.parametrize(("unit", "shared"), [("words", "明 日 の 東 京"), ("characters", "明日の東京")])
def test_scripts_without_spaces(check: Check, unit: str, shared: str) -> None:
    rows = asked("明日の東京の天気を教えて", "今日は何曜日ですか")
    verdicts = check(rows, asked("では、明日の東京は晴れますか", name="e"), unit=unit, size=5)
    assert verdicts == [Drop("ngram-overlap", f'5 {unit} of e0: "{shared}"'), Keep()]


def test_nothing_to_compare_is_an_error_of_the_evaluation_set_and_a_failure_of_a_row(check: Check) -> None:
    bare = [prompt([message("user", "Who?")], id="e0", source="bench")]
    with pytest.raises(DataError, match="E-FILTER-053") as raised:
        check(asked("What?"), bare, on="response")
    assert raised.value.where == "evaluation row e0 (bench)"
    with pytest.raises(DataError, match="E-FILTER-054"):
        check(asked("What?"), asked("Who?"), on="response")
    with pytest.raises(DataError, match="E-FILTER-054"):
        check(asked("What?"), [])
    [failed] = check(bare, asked("Who?", answer=counted(0, 20)), on="response")
    assert isinstance(failed, Failed)
    assert failed.code == "E-DATA-037"


ANGLES = {"Add 2 and 3": 0, "Sum 2 and 3": 20, "What is two plus three?": 25, "Sing": 90, "Sing now": 100}
"""Questions, as directions in degrees: the cosine of two is that of the angle between them."""


def at_angles(request: Request) -> Reply | Failed:
    assert isinstance(request, Embed)
    [asked] = request.texts
    if asked not in ANGLES:
        return Failed("E-BACKEND-001", "too long")
    angle = math.radians(ANGLES[asked])
    return Vectors([[math.cos(angle), math.sin(angle)]])


def test_embeddings_find_what_words_do_not(check: Check) -> None:
    rows = asked("What is two plus three?", "Sing", "Add 2 and 3")
    evaluation = asked("Add 2 and 3", "Sum 2 and 3", name="e")
    assert check(rows, evaluation, model="m", reply=at_angles) == [
        Drop("embedding-overlap", "cosine 0.996 with e1"),
        Keep(),
        Drop("ngram-overlap", '4 words of e0: "add 2 and 3"'),
    ]
    assert check(rows, evaluation, model="m", cosine=0.999, reply=at_angles)[0] == Keep()


def test_a_row_that_cannot_be_embedded_fails_and_an_evaluation_row_ends_the_step(check: Check) -> None:
    rows, evaluation = asked("Sing", "Sing a song", "Sing now"), asked("Add 2 and 3", name="e")
    verdicts = check(rows, evaluation, model="m", reply=at_angles)
    assert verdicts == [Keep(), Failed("E-BACKEND-001", "too long"), Keep()]
    assert check(rows, evaluation, model="m", first_characters=4, cosine=0.5, reply=first_four)[1] == Keep()
    with pytest.raises(DataError, match="E-FILTER-055") as raised:
        check(rows, asked("Unknown", name="e"), model="m", reply=at_angles)
    assert raised.value.where == "evaluation row e0"


def test_what_is_blank_resembles_nothing(check: Check) -> None:
    rows, evaluation = asked("    Sing", "Sing"), asked("Add 2 and 3", name="e")
    blank, kept = check(rows, evaluation, model="m", first_characters=4, cosine=0.5, reply=first_four)
    assert isinstance(blank, Failed)
    assert blank.code == "E-DATA-038"
    assert kept == Keep()


def first_four(request: Request) -> Reply | Failed:
    assert isinstance(request, Embed)
    assert all(len(text) <= 4 for text in request.texts)
    return Vectors([[1.0, 0.0] if text == "Add " else [0.0, 1.0] for text in request.texts])


def test_what_words_found_is_not_embedded(check: Check) -> None:
    seen: list[str] = []

    def reply(request: Request) -> Reply | Failed:
        assert isinstance(request, Embed)
        seen.extend(request.texts)
        return Vectors([[1.0, 0.0] for _ in request.texts])

    check(asked("Add", "Sing"), asked("Add", name="e"), model="m", reply=reply)
    assert seen == ["Add", "Sing"]
