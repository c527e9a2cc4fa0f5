from __future__ import annotations

from typing import Any

import pytest

from itune_formatters.instructions.lima import Lima


def test_one_exchange_and_several(run: Any) -> None:
    rows = [
        {"conversations": ["How do I whistle?", "Purse your lips."], "source": "wikihow"},
        {"conversations": ["Hi", "Hello.", "Bye", "Farewell. "], "source": "multi_turn", "checked": True},
    ]
    first, second = run(Lima, rows)
    assert [(turn["role"], turn["content"]) for turn in first["messages"]] == [
        ("user", "How do I whistle?"),
        ("assistant", "Purse your lips."),
    ]
    assert (first["source"], first["meta"]) == ("wikihow", None)
    assert [(turn["role"], turn["content"]) for turn in second["messages"]] == [
        ("user", "Hi"),
        ("assistant", "Hello."),
        ("user", "Bye"),
        ("assistant", "Farewell. "),
    ]
    assert (second["source"], second["meta"]) == ("multi_turn", '{"checked": true}')
    assert [turn["train"] for turn in second["messages"]] == [None] * 4


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (["Only a question"], "no-answer"),
        (["a", "b", "c"], "no-answer"),
        (["a", " "], "empty-turn"),
        (["", "b", "c", "d"], "empty-turn"),
        ([], "E-FORMAT-038"),
        (None, "E-FORMAT-038"),
        ("ab", "E-FORMAT-038"),
        (["a", 7], "E-FORMAT-038"),
        ([{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}], "E-FORMAT-038"),
        (["a", "b\x00"], "E-DATA-010"),
    ],
)
def test_drops_and_failures(run: Any, said: Any, outcome: str) -> None:
    good, tested, last = run(Lima, [{"conversations": turns} for turns in (["a", "b"], said, ["a", "b"])])
    assert getattr(tested, "reason", getattr(tested, "code", "record")) == outcome
    assert good["messages"] == last["messages"]
