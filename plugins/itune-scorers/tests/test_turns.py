"""What judges read of a record."""

from __future__ import annotations

import pytest

from itune_core.api import Kind, Record, RowError, conversation, example, message
from itune_scorers.asking.turns import answered, exchanges, question, response


def talk(*turns: tuple[str, str]) -> Record:
    return conversation([message(role, content) for role, content in turns])


CALL = conversation([message("user", "a"), message("assistant", "", tool_calls='[{"name": "look"}]')])
"""A talk that ends with a call of a tool."""


def test_a_talk_of_two_turns() -> None:
    record = talk(("system", "Be brief."), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"))
    assert exchanges(record) == answered(record) == [("a", "b"), ("c", "d")]
    assert [turn["content"] for turn in question(record)] == ["Be brief.", "a", "b", "c"]
    assert response(record) == "d"


def test_what_is_said_twice_is_one_turn_and_tools_are_none() -> None:
    turns = [("assistant", "Hello."), ("user", "a"), ("user", "b"), ("assistant", ""), ("tool", "{}")]
    record = talk(*turns, ("assistant", "c"), ("assistant", "d"))
    assert exchanges(record) == [("a\n\nb", "c\n\nd")]


def test_a_question_has_no_answer_yet() -> None:
    asked = example(Kind.PROMPT)
    [exchange] = exchanges(asked)
    assert exchange.query == asked["prompt"][-1]["content"]
    assert exchange.response == ""
    with pytest.raises(RowError, match="E-SCORE-023"):
        answered(asked)


@pytest.mark.parametrize(
    ("record", "function", "code"),
    [
        (talk(("assistant", "d")), question, "E-SCORE-020"),
        (CALL, response, "E-SCORE-023"),
        (CALL, answered, "E-SCORE-023"),
        (talk(("system", "a"), ("assistant", "d")), exchanges, "E-SCORE-024"),
        (talk(("user", " "), ("assistant", "d")), exchanges, "E-SCORE-024"),
    ],
)
def test_what_there_is_nothing_of_fails(record: Record, function: object, code: str) -> None:
    with pytest.raises(RowError, match=code):
        function(record)  # type: ignore[operator]
