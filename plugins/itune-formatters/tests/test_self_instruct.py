from __future__ import annotations

import json
from typing import Any

import pytest

from itune_core.api import Drop, Record, Row, Used, read_rows
from itune_formatters.instructions.self_instruct import SelfInstruct

TASK = {
    "id": "seed_task_900",
    "name": "plural",
    "instruction": "Give the plural.",
    "instances": [{"input": "mouse", "output": "mice"}, {"input": "", "output": "Of what?", "note": 1}],
    "is_classification": False,
}


def contents(made: Any) -> list[str]:
    return [turn["content"] for turn in made["messages"]]


def test_one_conversation_an_instance(run: Any) -> None:
    first, second = run(SelfInstruct, [TASK])
    assert contents(first) == ["Give the plural.\n\nmouse", "mice"]
    assert contents(second) == ["Give the plural.", "Of what?"]
    assert first["task"] == "plural"
    assert json.loads(first["meta"]) == {"id": "seed_task_900", "is_classification": False}
    assert json.loads(second["meta"]) == {"id": "seed_task_900", "is_classification": False, "note": 1}


def test_only_the_first_and_the_ledger_says_what_was_left(run: Any) -> None:
    made, left = run(SelfInstruct, [TASK], instances="first")
    assert contents(made)[1] == "mice"
    assert left == Used("not-first", "instance 1")


def test_an_instance_that_is_left_out_beside_others(run: Any) -> None:
    made, left = run(SelfInstruct, [{**TASK, "instances": [{"output": " "}, {"input": "ox", "output": "oxen"}]}])
    assert contents(made) == ["Give the plural.\n\nox", "oxen"]
    assert left == Used("empty-output")


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({"instances": []}, "no-instance"),
        ({"instances": [{"output": ""}, {"output": " "}]}, "empty-output"),
        ({"instruction": ""}, "empty-instruction"),
        ({"instances": None}, "E-FORMAT-037"),
        ({"instances": {"output": "a"}}, "E-FORMAT-037"),
        ({"instances": ["a"]}, "E-FORMAT-037"),
        ({"instances": [{"input": "a"}]}, "E-DATA-002"),
        ({"instances": [{"output": "a"}, {"output": 7}]}, "E-DATA-003"),
        ({"instances": [{"output": "a"}, {"output": "\x00"}]}, "E-DATA-010"),
        ({"name": 7}, "E-DATA-003"),
    ],
)
def test_drops_and_failures(run: Any, fields: dict[str, Any], outcome: str) -> None:
    """A row is the unit: it is used, dropped or failed as a whole."""
    outcomes = run(SelfInstruct, [TASK, {**TASK, **fields}, TASK])
    *before, tested = outcomes[:3]
    assert getattr(tested, "reason", getattr(tested, "code", "record")) == outcome
    assert [contents(item) for item in before] == [contents(item) for item in outcomes[3:]]


@pytest.mark.parametrize(
    ("name", "count", "without_input"),
    [("self_instruct/seed_tasks.jsonl", 175, 50), ("self_instruct/user_oriented_instructions.jsonl", 252, 44)],
)
def test_all_of_the_tasks(run: Any, real: Any, name: str, count: int, without_input: int) -> None:
    """Each has one instance in the files as published."""
    path = real(name)
    outcomes = run(SelfInstruct, path)
    assert len(outcomes) == count
    alone = 0
    for raw, made in zip(read_rows([path]), outcomes, strict=True):
        assert isinstance(raw, Row)
        assert isinstance(made, Record), made
        assert not isinstance(made, Drop)
        [instance] = raw["instances"]
        asked, answer = contents(made)
        assert answer == instance["output"]
        given = instance["input"]
        assert asked == (f"{raw['instruction']}\n\n{given}" if given.strip() else raw["instruction"])
        assert (made["task"], json.loads(made["meta"])["id"]) == (raw.get("name"), raw["id"])
        alone += asked == raw["instruction"]
    assert alone == without_input
