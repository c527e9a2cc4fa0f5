from __future__ import annotations

import json
from typing import Any

import pytest

from itune_core.api import Kind
from itune_formatters.conversations.messages import Messages
from itune_formatters.conversations.prompts import Prompts

CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Łódź"}'}}


def turn(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def conversation(*more: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [turn("system", "Be brief."), turn("user", "Hi"), turn("assistant", "Hello"), *more]}


def test_a_conversation_passes_unchanged(run: Any) -> None:
    raw = conversation(turn("user", "2+2?", name="Ada"), turn("assistant", "4", train=False))
    [made] = run(Messages, [raw])
    assert made.kind is Kind.CONVERSATION
    assert made["messages"] == [{"name": None, "tool_calls": None, "train": None, **turn_} for turn_ in raw["messages"]]
    assert made["meta"] is None


def test_tool_calls_and_what_records_have_no_place_for(run: Any) -> None:
    raw = {
        "messages": [
            turn("user", "Weather?"),
            turn("assistant", None, tool_calls=[CALL], refusal=None),
            turn("tool", "17 C", name="weather", tool_call_id="call_1"),
            turn("assistant", "17 degrees."),
        ],
        "tools": [{"type": "function"}],
        "category": "tools",
    }
    [made] = run(Messages, [raw])
    call = made["messages"][1]
    assert call["content"] == ""
    assert json.loads(call["tool_calls"]) == [CALL]
    assert "Łódź" in json.loads(call["tool_calls"])[0]["function"]["arguments"]
    assert made["messages"][2]["name"] == "weather"
    assert json.loads(made["meta"]) == {
        "messages": {"2": {"tool_call_id": "call_1"}},
        "tools": [{"type": "function"}],
    }
    assert made["category"] == "tools"


def test_tool_calls_that_are_json_text_are_kept_to_the_letter(run: Any) -> None:
    spelt = '[ {"name":"f"} ]'
    [made] = run(Messages, [conversation(turn("user", "Go"), turn("assistant", "", tool_calls=spelt))])
    assert made["messages"][-1]["tool_calls"] == spelt


def test_another_column(run: Any) -> None:
    [made] = run(Messages, [{"dialog": conversation()["messages"], "messages": "notes"}], column="dialog")
    assert len(made["messages"]) == 3
    assert json.loads(made["meta"]) == {"messages": "notes"}


@pytest.mark.parametrize(
    ("messages", "outcome"),
    [
        ([turn("user", "a")], "no-answer"),
        ([turn("user", "a"), turn("assistant", " ")], "empty-output"),
        ([turn("user", "a"), turn("assistant", "b", tool_calls=[])], "record"),
        ([], "E-FORMAT-010"),
        ("text", "E-FORMAT-010"),
        (None, "E-FORMAT-010"),
        (["text"], "E-FORMAT-010"),
        ([turn("human", "a")], "E-FORMAT-011"),
        ([turn(["user"], "a")], "E-FORMAT-011"),
        ([{"from": "human", "value": "a"}], "E-FORMAT-011"),
        ([turn("assistant", "b", tool_calls="{not json")], "E-FORMAT-012"),
        ([turn("assistant", "b", tool_calls='{"name": "f"}')], "E-FORMAT-012"),
        ([turn("assistant", "b", tool_calls=["f"])], "E-FORMAT-012"),
        ([turn("assistant", "b", tool_calls=7)], "E-FORMAT-012"),
        ([turn("assistant", None)], "E-DATA-010"),
        ([{"role": "assistant"}], "E-DATA-010"),
        ([turn("assistant", [{"type": "text", "text": "b"}])], "E-DATA-010"),
        ([turn("assistant", "b", name=7)], "E-DATA-010"),
        ([turn("assistant", "b", train="yes")], "E-DATA-010"),
        ([turn("assistant", "\ud800")], "E-DATA-010"),
    ],
)
def test_drops_and_failures(run: Any, messages: Any, outcome: str) -> None:
    good, tested, last = run(Messages, [conversation(), {"messages": messages}, conversation()])
    assert getattr(tested, "reason", getattr(tested, "code", "record")) == outcome
    assert good["messages"] == last["messages"]


def test_a_number_that_json_lacks_cannot_be_kept(run: Any) -> None:
    [failed] = run(Messages, [{**conversation(), "score": float("nan")}])
    assert failed.code == "E-FORMAT-001"


def test_prompts_from_text_and_from_messages(run: Any) -> None:
    rows = [
        {"prompt": "2+2?", "references": ["4", "four"]},
        {"prompt": [turn("system", "Be brief."), turn("user", "Hi", tool_call_id="x")], "id": 7},
    ]
    first, second = run(Prompts, rows)
    assert first.kind is Kind.PROMPT
    assert [(item["role"], item["content"]) for item in first["prompt"]] == [("user", "2+2?")]
    assert (first["references"], first["meta"]) == (["4", "four"], None)
    assert [item["role"] for item in second["prompt"]] == ["system", "user"]
    assert json.loads(second["meta"]) == {"prompt": {"1": {"tool_call_id": "x"}}, "id": 7}


@pytest.mark.parametrize(
    ("value", "outcome"),
    [
        (conversation()["messages"], "already-answered"),
        ("  ", "empty-prompt"),
        ([turn("user", "")], "empty-prompt"),
        ([], "E-FORMAT-010"),
        (None, "E-DATA-002"),
        (7, "E-DATA-003"),
    ],
)
def test_prompts_drops_and_failures(run: Any, value: Any, outcome: str) -> None:
    [tested] = run(Prompts, [{"question": value}], column="question")
    assert getattr(tested, "reason", getattr(tested, "code", "record")) == outcome


def test_real_questions(run: Any, real: Any, tally: Any) -> None:
    assert tally(run(Prompts, real("gsm8k/train_500.jsonl.gz"), column="question")) == {"record": 500}


def test_real_rows_with_a_label(run: Any, real: Any, tally: Any) -> None:
    """Of kto_en_demo the label is no part of a conversation; it stays, in meta."""
    outcomes = run(Messages, real("format_demos/kto_en_demo.json.gz"))
    assert tally(outcomes) == {"record": 300}
    assert all("label" in json.loads(outcome["meta"]) for outcome in outcomes)
