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
    example,
    features,
    message,
    prompt,
)
from itune_core.testing import BenchContext
from itune_generators.distill import Distill

Draw = tuple[str, str]
"""Text and finish."""


def answering(*draws: Draw) -> Callable[[Request], Reply]:
    def reply(request: Request) -> Reply:
        assert isinstance(request, Ask)
        assert len(draws) == request.n
        return Answer([Completion(text, finish, 4, 2) for text, finish in draws])

    return reply


def distil(
    reply: Callable[[Request], Reply | Failed], folder: Path, prompts: Sequence[Any] | None = None, **settings: object
) -> list[tuple[str, Created | Drop | Failed]]:
    made = prompts or [prompt([message("user", "Name a prime number.")], references=["Two."], task="numbers")]
    rows = datasets.Dataset.from_list(
        [{**record, "id": f"p{number}"} for number, record in enumerate(made)], features=features(Kind.PROMPT)
    )
    component = Distill(Distill.Config(model="teacher", **settings))
    return list(component.itune_generate(inputs={"records": rows}, context=BenchContext(folder, reply=reply)))


def test_every_answer_becomes_a_conversation_that_names_its_prompt(tmp_path: Path) -> None:
    made = distil(answering(("Seven.", "stop"), (" Eleven.\n", "stop")), tmp_path, n=2, temperature=0.7)
    assert [key for key, _ in made] == ["p0", "p0"]
    for (_, item), text in zip(made, ("Seven.", " Eleven.\n"), strict=True):
        assert isinstance(item, Created)
        assert item.parents == ["p0"]
        assert item.record.kind is Kind.CONVERSATION
        assert [turn["content"] for turn in item.record["messages"]] == ["Name a prime number.", text]
        assert (item.record["references"], item.record["task"]) == (["Two."], "numbers")


def test_the_teacher_is_asked_as_the_recipe_says(tmp_path: Path) -> None:
    asked: list[Ask] = []

    def reply(request: Request) -> Reply:
        assert isinstance(request, Ask)
        asked.append(request)
        return Answer([Completion("Seven.", "stop", 4, 2)] * request.n)

    distil(reply, tmp_path, n=3, temperature=0.7, top_p=0.9, max_tokens=40, stop=["\n\n"])
    assert asked[0].model == "teacher"
    assert (asked[0].n, asked[0].temperature, asked[0].top_p) == (3, 0.7, 0.9)
    assert (asked[0].max_tokens, tuple(asked[0].stop)) == (40, ("\n\n",))


@pytest.mark.parametrize(
    ("settings", "roles"), [({}, ["system", "user", "assistant"]), ({"record_system": False}, ["user", "assistant"])]
)
def test_a_system_turn_is_asked_with_and_recorded_unless_told_not_to(
    tmp_path: Path, settings: dict[str, bool], roles: list[str]
) -> None:
    asked: list[Ask] = []

    def reply(request: Request) -> Reply:
        assert isinstance(request, Ask)
        asked.append(request)
        return Answer([Completion("Seven.", "stop", 4, 2)])

    [(_, item)] = distil(reply, tmp_path, system="Be brief.", **settings)
    assert [turn["role"] for turn in asked[0].messages] == ["system", "user"]
    assert isinstance(item, Created)
    assert [turn["role"] for turn in item.record["messages"]] == roles


def test_a_system_turn_takes_the_place_of_the_prompts_own(tmp_path: Path) -> None:
    asked: list[Ask] = []

    def reply(request: Request) -> Reply:
        assert isinstance(request, Ask)
        asked.append(request)
        return Answer([Completion("Seven.", "stop", 4, 2)])

    own = [prompt([message("system", "Be long."), message("user", "Name a prime number.")])]
    distil(reply, tmp_path, own, system="Be brief.")
    assert [turn["content"] for turn in asked[0].messages] == ["Be brief.", "Name a prime number."]


def test_a_cut_answer_is_dropped_by_default_and_kept_on_request(tmp_path: Path) -> None:
    reply = answering(("Seven is", "length"), ("Seven.", "stop"))
    (_, kept), (_, cut) = distil(reply, tmp_path, n=2, temperature=1.0)
    assert isinstance(kept, Created)
    assert cut == Rejected("unfinished", "draw 0 hit max_tokens (512)")
    assert kept.record["messages"][-1]["content"] == "Seven."
    assert len(distil(reply, tmp_path, n=2, temperature=1.0, unfinished="keep")) == 2


@pytest.mark.parametrize(
    ("draws", "reason"),
    [
        ([("Seven is", "length"), ("", "stop")], "unfinished"),
        ([(" \n", "stop"), ("\n", "stop")], "empty-answer"),
        ([("Nine?</think>\n", "length"), ("", "stop")], "unfinished"),
    ],
)
def test_a_prompt_of_which_nothing_is_left_says_why(tmp_path: Path, draws: list[Draw], reason: str) -> None:
    [(key, outcome)] = distil(answering(*draws), tmp_path, n=2, temperature=1.0)
    assert key == "p0"
    assert isinstance(outcome, Drop)
    assert outcome.reason == reason


def test_an_answer_that_is_no_text_fails_its_prompt_unless_another_draw_is_good(tmp_path: Path) -> None:
    def reply(request: Request) -> Reply:
        assert isinstance(request, Ask)
        other = "a\x00c" if request.messages[-1]["content"] == "bad" else "Fine."
        return Answer([Completion("a\x00b", "stop", 1, 1), Completion(other, "stop", 1, 1)])

    made = distil(reply, tmp_path, [prompt([message("user", "bad")]), example(Kind.PROMPT)], n=2, temperature=1.0)
    assert [(key, type(item)) for key, item in made] == [("p0", Failed), ("p1", Created), ("p1", Rejected)]
    assert isinstance(made[0][1], Failed)
    assert made[0][1].code == "E-DATA-010"


def test_where_no_draw_can_be_read_the_first_says_why(tmp_path: Path) -> None:
    draws = [("a\x00b", "stop"), ("<think>Nine?", "length")]
    [(_, outcome)] = distil(answering(*draws), tmp_path, n=2, temperature=1.0)
    assert outcome.code == "E-DATA-010"
    draws.reverse()
    [(_, outcome)] = distil(answering(*draws), tmp_path, n=2, temperature=1.0)
    assert outcome.code == "E-MODEL-020"


def test_several_greedy_draws_are_refused() -> None:
    with pytest.raises(ValidationError, match="would all be the same"):
        Distill.Config(model="teacher", n=2)


THOUGHT = "<think>\nNine? No.\n</think>\n\nSeven."


def test_a_reasoning_models_thought_is_kept_beside_the_answer_or_in_it(tmp_path: Path) -> None:
    [(_, apart)] = distil(answering((THOUGHT, "stop")), tmp_path)
    assert isinstance(apart, Created)
    assert apart.record["messages"][-1]["content"] == "Seven."
    assert apart.record["rationale"] == "Nine? No."
    for text in (THOUGHT, "Nine? No.</think>Seven."):  # some templates open the thought themselves
        [(_, whole)] = distil(answering((text, "stop")), tmp_path, thought="own", system="Think first.")
        assert isinstance(whole, Created)
        assert [turn["content"] for turn in whole.record["messages"]][::2] == ["Think first.", THOUGHT]
        assert whole.record["rationale"] is None


def test_asked_for_reasoning_it_is_what_it_was_asked_for_that_is_kept(tmp_path: Path) -> None:
    said = "<think>A plan.</think>It has no divisors.\nAnswer: Seven."
    [(_, made)] = distil(answering((said, "stop")), tmp_path, thought="rationale")
    assert isinstance(made, Created)
    assert (made.record["messages"][-1]["content"], made.record["rationale"]) == ("Seven.", "It has no divisors.")


@pytest.mark.parametrize("thought", ["none", "own"])
def test_one_thought_without_an_end_leaves_the_other_draws(tmp_path: Path, thought: str) -> None:
    settings = {"n": 2, "temperature": 1.0, "thought": thought, "unfinished": "keep"}
    (_, kept), (_, lost) = distil(answering(("<think>Nine?", "length"), ("Seven.", "stop")), tmp_path, **settings)
    assert isinstance(kept, Created)
    assert isinstance(lost, Rejected)
    assert (lost.reason, "draw 0: E-MODEL-020" in lost.detail) == ("unreadable", True)
    [(_, failed)] = distil(answering(("<think>Nine?", "length"), ("", "stop")), tmp_path, **settings)
    assert isinstance(failed, Failed)
    assert failed.code == "E-MODEL-020"
