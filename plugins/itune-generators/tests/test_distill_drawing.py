"""Distillation from several teachers, with several system turns, and with reasoning."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from itune_core.api import (
    Answer,
    Ask,
    Completion,
    Created,
    Failed,
    Kind,
    Rejected,
    Request,
    RowError,
    derive_rng,
    example,
    features,
    message,
    prompt,
)
from itune_core.testing import BenchContext
from itune_generators.asking.line_sets import line_set
from itune_generators.distill import Distill
from itune_generators.reading.explaining import MARKS, apart


def first_asked(number: int, **settings: Any) -> Ask:
    component = Distill(Distill.Config(**settings))
    asked = next(component.generate(example(Kind.PROMPT), derive_rng(0, number)))
    assert isinstance(asked, Ask)
    return asked


def distil(*draws: str, folder: Path, **settings: Any) -> list[Any]:
    rows = datasets.Dataset.from_list(
        [{**prompt([message("user", "What is 6 times 7?")]), "id": "p0"}], features=features(Kind.PROMPT)
    )

    def reply(request: Request) -> Answer:
        return Answer([Completion(draw, "stop", 4, 2) for draw in draws])

    component = Distill(Distill.Config(**{"model": "large", "n": len(draws), "temperature": 1.0, **settings}))
    context = BenchContext(folder, reply=reply)
    return [item for _, item in component.itune_generate(inputs={"records": rows}, context=context)]


def test_teachers_and_system_turns_are_drawn_by_their_shares() -> None:
    teachers = [{"model": "large", "share": 3}, {"model": "small"}]
    systems = [{"text": "Be brief.", "share": 1.5}, {"text": "Be thorough.", "share": 0.5}]
    drawn = [first_asked(number, model=teachers, system=systems) for number in range(4000)]
    pairs = Counter((asked.model, asked.messages[0]["content"]) for asked in drawn)
    # Four sigma of a binomial of 4,000 draws is at most 0.032.
    for model, of_model in (("large", 0.75), ("small", 0.25)):
        for system, of_system in (("Be brief.", 0.75), ("Be thorough.", 0.25)):
            assert pairs[model, system] / 4000 == pytest.approx(of_model * of_system, abs=0.032)


def test_a_prompt_draws_the_same_again() -> None:
    teachers = [{"model": name} for name in "abcdefgh"]
    once, again = ([first_asked(number, model=teachers).model for number in range(50)] for _ in range(2))
    assert once == again


def test_the_record_says_who_answered(tmp_path: Path) -> None:
    [made] = distil("42", folder=tmp_path)
    assert json.loads(made.record["meta"]) == {"model": "large"}


@pytest.mark.parametrize("language", ["en", "ko", "ja"])
@pytest.mark.parametrize(("thought", "name"), [("answer", "explain"), ("rationale", "reason")])
def test_a_built_in_system_turn_asks_for_the_thought(language: str, thought: str, name: str) -> None:
    built_in = line_set(f"distill/{language}/{name}")
    drawn = {
        first_asked(number, model="m", thought=thought, language=language).messages[0]["content"]
        for number in range(100)
    }
    assert drawn == set(built_in)
    if thought == "rationale":
        assert all(MARKS[language] in text for text in built_in)  # type: ignore[index]


def test_an_explanation_stays_in_the_answer_and_a_rationale_leaves_it(tmp_path: Path) -> None:
    text = "Six sevens are seven sixes.\n\n**Answer:** 42"
    [whole] = distil(text, folder=tmp_path, thought="answer")
    assert [turn["role"] for turn in whole.record["messages"]] == ["system", "user", "assistant"]
    assert (whole.record["messages"][-1]["content"], whole.record["rationale"]) == (text, None)
    [made] = distil(text, folder=tmp_path, thought="rationale", record_system=False)
    assert [turn["content"] for turn in made.record["messages"]] == ["What is 6 times 7?", "42"]
    assert made.record["rationale"] == "Six sevens are seven sixes."


def test_a_draw_that_does_not_come_apart_stands_beside_those_that_do(tmp_path: Path) -> None:
    made, left_out = distil("It is 42.", "By heart.\nAnswer: 42", folder=tmp_path, thought="rationale")
    assert isinstance(made, Created)
    assert isinstance(left_out, Rejected)
    assert left_out.reason == "unreadable"
    assert left_out.detail.startswith("draw 0: E-GEN-031: 0 lines begin with 'Answer:'")
    [failed] = distil("It is 42.", "42", folder=tmp_path, thought="rationale")
    assert isinstance(failed, Failed)
    assert failed.code == "E-GEN-031"


def test_draws_that_are_left_out_are_counted(tmp_path: Path) -> None:
    made, blank = distil("42", " \n", folder=tmp_path)
    assert isinstance(made, Created)
    assert blank == Rejected("empty-answer", "draw 1")


@pytest.mark.parametrize(
    ("text", "language", "found"),
    [
        ("Because.\nAnswer: 42", "en", ("Because.", "42")),
        ("Because.\n\n  ANSWER : 42\nand no more", "en", ("Because.", "42\nand no more")),
        ("Because the Answer: of all\n### Answer: 42", "en", ("Because the Answer: of all", "42")),
        ("그래서.\n답: 42", "ko", ("그래서.", "42")),
        ("だから。\n答え：42", "ja", ("だから。", "42")),
        ("だから。\n答え: 42", "ja", ("だから。", "42")),
        ("Because.", "en", None),
        ("Answer: 42", "en", None),
        ("Because.\nAnswer:", "en", None),
        ("Because.\nAnswer: 1\nAnswer: 2", "en", None),
        ("Because.\n답: 42", "en", None),
    ],
)
def test_where_an_answer_comes_apart(text: str, language: Any, found: tuple[str, str] | None) -> None:
    if found is not None:
        assert apart(text, language) == found
        return
    with pytest.raises(RowError) as caught:
        apart(text, language)
    assert caught.value.code == "E-GEN-031"


WORDS = st.text(st.characters(blacklist_characters="\r\n:：", blacklist_categories=["Cs"])).filter(str.strip)


@given(WORDS, WORDS, st.sampled_from(["en", "ko", "ja"]))
def test_what_was_put_together_comes_apart(thought: str, answer: str, language: Any) -> None:
    assert apart(f"{thought}\n{MARKS[language]} {answer}", language).answer in answer


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"model": []}, "empty"),
        ({"model": "m", "system": []}, "empty"),
        ({"model": "m", "system": "Be brief.", "thought": "answer"}, "one of `system` and `thought`"),
        ({"model": [{"model": "m", "share": 0}]}, "greater than 0"),
    ],
)
def test_settings_that_are_refused(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Distill.Config(**settings)
