from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest
from pydantic import ValidationError

from itune_core.api import (
    Answer,
    Ask,
    Completion,
    Created,
    Drop,
    Failed,
    Kind,
    Rejected,
    Reply,
    Request,
    features,
    message,
    prompt,
)
from itune_core.testing import BenchContext
from itune_generators.candidates import Candidates

Draw = tuple[str, str]
"""Text and finish."""


def answering(*draws: Draw, asked: list[Ask] | None = None) -> Callable[[Request], Reply]:
    def reply(request: Request) -> Reply:
        assert isinstance(request, Ask)
        assert len(draws) == request.n
        if asked is not None:
            asked.append(request)
        return Answer([Completion(text, finish, 4, 2) for text, finish in draws])

    return reply


def drawn(
    reply: Callable[[Request], Reply | Failed], folder: Path, prompts: Sequence[Any] | None = None, **settings: object
) -> list[tuple[str, Any]]:
    made = prompts or [prompt([message("user", "Name a prime number.")], references=["Two."], task="numbers")]
    rows = datasets.Dataset.from_list(
        [{**record, "id": f"p{number}"} for number, record in enumerate(made)], features=features(Kind.PROMPT)
    )
    component = Candidates(Candidates.Config(policy="sft", **settings))
    return list(component.itune_generate(inputs={"records": rows}, context=BenchContext(folder, reply=reply)))


def test_all_answers_stand_in_one_ranking_that_has_no_scores_yet(tmp_path: Path) -> None:
    [(key, item)] = drawn(answering(("Seven.", "stop"), (" Two.\n", "stop"), ("Seven.", "stop")), tmp_path, n=3)
    assert key == "p0"
    assert isinstance(item, Created)
    assert item.parents == ["p0"]
    assert item.record.kind is Kind.RANKING
    assert [turn["content"] for turn in item.record["prompt"]] == ["Name a prime number."]
    assert (item.record["references"], item.record["task"]) == (["Two."], "numbers")
    candidates = item.record["candidates"]
    assert [candidate["completion"][0]["content"] for candidate in candidates] == ["Seven.", " Two.\n", "Seven."]
    assert all(candidate["score"] is None and candidate["model"] == "sft" for candidate in candidates)


def test_the_policy_is_asked_once_as_the_recipe_says(tmp_path: Path) -> None:
    asked: list[Ask] = []
    settings: dict[str, Any] = {"n": 2, "temperature": 0.7, "top_k": 40, "top_p": 0.9, "max_tokens": 64, "stop": ["\n"]}
    drawn(answering(("Seven.", "stop"), ("Two.", "stop"), asked=asked), tmp_path, **settings)
    [question] = asked
    assert question.model == "sft"
    assert {name: getattr(question, name) for name in settings} == {**settings, "stop": ("\n",)}


def test_the_prompt_arrives_byte_for_byte(tmp_path: Path) -> None:
    asked: list[Ask] = []
    strange = "{{ config }} {% raw %} {0} %s \x07\r\n\t</s> ünï 漢字"
    turns = [message("system", "Be {brief}."), message("user", strange)]
    drawn(answering(("Seven.", "stop"), asked=asked), tmp_path, [prompt(turns)], n=1)
    assert [turn["content"] for turn in asked[0].messages] == ["Be {brief}.", strange]


def test_what_a_policy_did_not_end_or_did_not_say_is_rejected_one_by_one(tmp_path: Path) -> None:
    draws = [("Seven is", "length"), ("Seven.", "stop"), (" \n", "stop"), ("a\x00b", "stop")]
    *rejected, (_, made) = drawn(answering(*draws), tmp_path, n=4)
    assert [(key, item.reason, item.detail) for key, item in rejected if isinstance(item, Rejected)] == [
        ("p0", "unfinished", "draw 0"),
        ("p0", "empty-answer", "draw 2"),
        ("p0", "unreadable", "draw 3: E-DATA-010: content of a message holds a NUL character"),
    ]
    assert isinstance(made, Created)
    assert len(made.record["candidates"]) == 1
    [*_, (_, made)] = drawn(answering(*draws), tmp_path, n=4, unfinished="keep")
    assert len(made.record["candidates"]) == 2


@pytest.mark.parametrize(
    ("draws", "reason"),
    [
        ([("Seven is", "length"), ("", "stop")], "unfinished"),
        ([(" \n", "stop"), ("\n", "stop")], "empty-answer"),
        ([("Nine?</think>\n", "length"), ("", "stop")], "unfinished"),
    ],
)
def test_a_prompt_of_which_nothing_is_left_says_why(tmp_path: Path, draws: list[Draw], reason: str) -> None:
    *rejected, (key, outcome) = drawn(answering(*draws), tmp_path, n=2)
    assert len(rejected) == 2
    assert isinstance(outcome, Drop)
    assert (key, outcome.reason) == ("p0", reason)


def test_a_prompt_of_which_no_draw_is_text_fails(tmp_path: Path) -> None:
    [*_, (_, outcome)] = drawn(answering(("a\x00b", "stop"), ("", "stop")), tmp_path, n=2)
    assert isinstance(outcome, Failed)
    assert outcome.code == "E-DATA-010"


def test_where_no_draw_can_be_read_the_first_says_why(tmp_path: Path) -> None:
    draws = [("a\x00b", "stop"), ("<think>Nine?", "length")]
    [*_, (_, outcome)] = drawn(answering(*draws), tmp_path, n=2)
    assert outcome.code == "E-DATA-010"
    draws.reverse()
    [*_, (_, outcome)] = drawn(answering(*draws), tmp_path, n=2)
    assert outcome.code == "E-MODEL-020"


def test_a_policy_is_drawn_from_not_asked_for_its_best() -> None:
    with pytest.raises(ValidationError, match="greater than 0"):
        Candidates.Config(policy="sft", temperature=0)
