from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from itune_core.api import Drop, Failed, Keep, Kind, conversation, example, feedback, message, preference, ranking, text
from itune_filters.length import Length


def verdict_of(judge: Any, record: Any, **bounds: Any) -> Any:
    [verdict] = judge(Length, [record.replace(id="r")], **bounds)
    return verdict


@pytest.mark.parametrize(
    ("bounds", "verdict"),
    [
        ({"prompt": {"min_words": 3, "max_words": 3}}, Keep()),
        ({"prompt": {"min_words": 4}}, Drop("prompt-too-short", "3 words, at least 4 are wanted")),
        ({"prompt": {"max_words": 2}}, Drop("prompt-too-long", "3 words, at most 2 are wanted")),
        ({"prompt": {"min_characters": 13, "max_characters": 13}}, Keep()),
        ({"prompt": {"max_characters": 12}}, Drop("prompt-too-long", "13 characters, at most 12 are wanted")),
        ({"response": {"max_characters": 5}}, Keep()),
        ({"response": {"min_characters": 6}}, Drop("response-too-short", "5 characters, at least 6 are wanted")),
        ({"total": {"min_words": 4, "max_characters": 18}}, Keep()),
        ({"total": {"max_characters": 17}}, Drop("total-too-long", "18 characters, at most 17 are wanted")),
        (
            {"prompt": {"max_words": 3}, "response": {"min_words": 2}, "total": {"max_words": 1}},
            Drop("response-too-short", "1 words, at least 2 are wanted"),
        ),
    ],
)
def test_bounds(judge: Any, make_chat: Any, bounds: Any, verdict: Any) -> None:
    assert verdict_of(judge, make_chat("Where is\nŁódź", "Here."), **bounds) == verdict


def test_every_answer_must_keep_to_the_bounds(judge: Any) -> None:
    ask = [message("user", "q")]
    short, middle, long = ([message("assistant", "a" * length)] for length in (1, 5, 9))
    for record in (
        preference(ask, middle, long),
        preference(ask, long, middle),
        ranking(ask, [{"completion": middle}, {"completion": long}]),
        feedback(ask, long),
    ):
        assert verdict_of(judge, record, response={"max_characters": 9}) == Keep()
        assert verdict_of(judge, record, response={"max_characters": 8}).reason == "response-too-long"
    assert (
        verdict_of(judge, preference(ask, middle, short), response={"min_characters": 2}).reason == "response-too-short"
    )
    assert verdict_of(judge, preference(ask, middle, short), total={"min_characters": 7, "max_characters": 7}) == Keep()


def test_a_conversation_answers_with_its_last_turn(judge: Any) -> None:
    turns = [("user", "aa"), ("assistant", "bbb"), ("user", "cccc"), ("assistant", "ddddd")]
    record = conversation([message(role, content) for role, content in turns])
    exact = {"prompt": 9, "response": 5, "total": 14}
    bounds = {part: {"min_characters": size, "max_characters": size} for part, size in exact.items()}
    assert verdict_of(judge, record, **bounds) == Keep()


def test_kinds_without_a_prompt_or_an_answer(judge: Any) -> None:
    assert verdict_of(judge, text("one two"), response={"min_words": 2}, total={"max_words": 2}) == Keep()
    for record, bounds in (
        (text("one two"), {"prompt": {"min_words": 1}}),
        (text("one two"), {"prompt": {"max_words": 9}, "total": {"max_words": 1}}),
        (example(Kind.PROMPT), {"response": {"max_words": 9}}),
    ):
        failed = verdict_of(judge, record, **bounds)
        assert isinstance(failed, Failed)
        assert failed.code == "E-FILTER-001"
    alone = conversation([message("assistant", "Well.")])
    assert verdict_of(judge, alone, prompt={"max_words": 9}) == Keep()
    assert verdict_of(judge, alone, prompt={"min_words": 1}).detail == "0 words, at least 1 are wanted"
    assert verdict_of(judge, example(Kind.PROMPT), prompt={"max_words": 9}) == Keep()


@pytest.mark.parametrize(
    "bounds",
    [
        {},
        {"response": None},
        {"response": {}},
        {"response": {"min_words": None}},
        {"response": {"min_words": 5, "max_words": 4}},
        {"response": {"max_tokens": 5}},
        {"response": {"min_words": -1}},
    ],
)
def test_bounds_that_make_no_sense_are_refused(bounds: Any) -> None:
    with pytest.raises(ValidationError):
        Length.Config(**bounds)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), min_size=1), st.integers(0, 8))
def test_a_text_is_kept_exactly_within_its_bounds(judge: Any, content: str, bound: int) -> None:
    if not content.strip():
        return
    characters, words = len(content), len(content.split())
    kept = verdict_of(judge, text(content), total={"max_characters": bound}) == Keep()
    assert kept == (characters <= bound)
    kept = verdict_of(judge, text(content), response={"min_words": bound}) == Keep()
    assert kept == (words >= bound)
