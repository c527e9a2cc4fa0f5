from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itune_core.api import Kind, Record, message, read_rows
from itune_formatters.conversations.sharegpt import ShareGPT
from itune_formatters.dialogue.turn_order import mended, misplaced, part
from itune_formatters.preferences.pairs import Pairs

CALL = {"name": "weather", "arguments": {"city": "Łódź"}}


def turns(*said: tuple[str, Any], **more: Any) -> dict[str, Any]:
    return {"conversations": [{"from": name, "value": value} for name, value in said], **more}


def outcome(run: Any, row: dict[str, Any], **config: Any) -> Any:
    [found] = run(ShareGPT, [row], **config)
    return found


def contents(record: Record) -> list[tuple[str, str]]:
    return [(turn["role"], turn["content"]) for turn in record["messages"]]


def test_a_conversation(run: Any) -> None:
    row = turns(("human", "Hi "), ("gpt", "안녕"), ("human", "こんにちは"), ("gpt", "Bye"), id="x1", category="chat")
    row["conversations"][1] |= {"train": False, "weight": 0}
    made = outcome(run, row)
    assert made.kind is Kind.CONVERSATION
    assert contents(made) == [("user", "Hi "), ("assistant", "안녕"), ("user", "こんにちは"), ("assistant", "Bye")]
    assert [turn["train"] for turn in made["messages"]] == [None, False, None, None]
    assert made["category"] == "chat"
    assert json.loads(made["meta"]) == {"id": "x1", "conversations": {"1": {"weight": 0}}}


def test_tools(run: Any) -> None:
    said = [
        ("human", "Weather?"),
        ("function_call", json.dumps(CALL, ensure_ascii=False)),
        ("observation", '{"celsius": 17}'),
        ("function_call", [CALL, CALL]),
        ("observation", ""),
        ("observation", "17"),
        ("gpt", "17 degrees."),
    ]
    made = outcome(run, turns(("system", "Be brief."), *said, tools='[{"name": "weather"}]'))
    assert [turn["role"] for turn in made["messages"]] == [
        *("system", "user", "assistant", "tool", "assistant", "tool", "tool", "assistant")
    ]
    first, second = (made["messages"][number]["tool_calls"] for number in (2, 4))
    assert json.loads(first) == [{"type": "function", "function": CALL}]
    assert "Łódź" in first
    assert json.loads(second) == [{"type": "function", "function": CALL}] * 2
    assert json.loads(made["meta"]) == {"tools": '[{"name": "weather"}]'}


@pytest.mark.parametrize("name", ["human", "user"])
@pytest.mark.parametrize("answering", ["gpt", "assistant", "chatgpt", "bing", "bard", "bot", "model"])
def test_names(run: Any, name: str, answering: str) -> None:
    made = outcome(run, turns((name, "Hi"), (answering, "Hello")))
    assert contents(made) == [("user", "Hi"), ("assistant", "Hello")]


def test_other_names_are_said(run: Any) -> None:
    row = turns(("narrator", "Be brief."), ("human", "Hi"), ("claude", "Hello"))
    assert outcome(run, row).code == "E-FORMAT-011"
    made = outcome(run, row, roles={"narrator": "system", "claude": "assistant"})
    assert contents(made) == [("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello")]


def test_a_system_field(run: Any) -> None:
    said = (("human", "Hi"), ("gpt", "Hello"))
    for row in (turns(*said, system="Be brief."), turns(("system", " "), *said, system="Be brief.")):
        assert contents(outcome(run, row))[0] == ("system", "Be brief.")
    assert contents(outcome(run, turns(("system", ""), *said, system=" "))) == [("user", "Hi"), ("assistant", "Hello")]
    assert outcome(run, turns(("system", "Be long."), *said, system="Be brief.")).code == "E-FORMAT-045"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ([("gpt", "Hi"), ("human", "Hi"), ("gpt", "Hello")], "turns-out-of-order"),
        ([("human", "Hi"), ("human", "You?"), ("gpt", "Hello")], "turns-out-of-order"),
        ([("human", "Hi"), ("gpt", "Hello"), ("gpt", "You?")], "turns-out-of-order"),
        ([("human", "Hi"), ("system", "Be brief."), ("gpt", "Hello")], "turns-out-of-order"),
        ([("human", "Hi"), ("observation", "17"), ("gpt", "Hello")], "turns-out-of-order"),
        ([("human", "Hi"), ("function_call", CALL), ("gpt", "Hello")], "turns-out-of-order"),
        ([("human", "Hi"), ("gpt", "Hello"), ("human", "Bye")], "no-answer"),
        ([("human", "Hi"), ("function_call", CALL), ("observation", "17")], "no-answer"),
        ([("human", "Hi"), ("function_call", CALL)], "record"),
        ([("human", "Hi"), ("gpt", " \n")], "empty-turn"),
        ([("human", ""), ("gpt", "Hello")], "empty-turn"),
        ([("human", "Hi"), ("gpt", 'So <div class="x">much</div>')], "html"),
        ([("human", "Hi"), ("gpt", "a &lt; b")], "html"),
        ([("human", "<b>Hi</b><br>"), ("gpt", "Write `<br>`:\n```html\n<p>x</p>\n```")], "record"),
        ([("human", "Hi"), ("gpt", "#include <stdio.h>, if a<b and c>d")], "record"),
        ([("human", 7), ("gpt", "Hello")], "E-DATA-010"),
        ([("human", "Hi"), ("gpt", None)], "E-DATA-010"),
        ([("human", "Hi"), ("function_call", "weather()")], "E-FORMAT-044"),
        ([("human", "Hi"), ("function_call", "[]")], "E-FORMAT-044"),
        ([("human", "Hi"), ("function_call", '{"arguments": {}}')], "E-FORMAT-044"),
        ([(None, "Hi")], "E-FORMAT-011"),
        ([(["human"], "Hi")], "E-FORMAT-011"),
        ([], "E-FORMAT-010"),
    ],
)
def test_drops_and_failures(run: Any, said: Any, reason: str) -> None:
    found = outcome(run, turns(*said))
    assert getattr(found, "reason", getattr(found, "code", "record")) == reason


def test_html_may_stay(run: Any) -> None:
    assert isinstance(outcome(run, turns(("human", "Hi"), ("gpt", "<p>Hello</p>")), html="keep"), Record)


def test_repairs_are_told(run: Any) -> None:
    row = turns(
        *(("system", "Be brief."), ("gpt", "Welcome."), ("gpt", "!"), ("human", "Hi"), ("human", "You?")),
        *(("gpt", "Let me see."), ("function_call", CALL), ("function_call", CALL), ("observation", "17")),
        *(("gpt", "17."), ("human", "Bye"), ("human", "?")),
    )
    made = outcome(run, row, order="repair")
    assert contents(made) == [
        ("system", "Be brief."),
        ("user", "Hi\n\nYou?"),
        ("assistant", "Let me see."),
        ("tool", "17"),
        ("assistant", "17."),
    ]
    assert json.loads(made["messages"][2]["tool_calls"]) == [{"type": "function", "function": CALL}] * 2
    assert json.loads(made["meta"]) == {"repairs": {"removed_before": 2, "removed_after": 2, "joined": 3}}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ([("gpt", "Hi"), ("gpt", "Hello")], "no-answer"),
        ([("human", "Hi"), ("observation", "17"), ("gpt", "Hello")], "turns-out-of-order"),
        ([("human", "Hi"), ("system", "x"), ("gpt", "Hello")], "turns-out-of-order"),
    ],
)
def test_what_cannot_be_mended(run: Any, said: Any, reason: str) -> None:
    assert outcome(run, turns(*said), order="repair").reason == reason


TURN = st.builds(
    lambda kind, train: message(
        "assistant" if kind == "call" else kind,
        "" if kind == "call" else f"a {kind}",
        tool_calls='[{"name": "f"}]' if kind == "call" else None,
        train=train,
    ),
    st.sampled_from(["system", "user", "assistant", "call", "tool"]),
    st.sampled_from([None, None, None, False]),
)


@given(said=st.lists(TURN, max_size=12))
def test_mending(said: list[dict[str, Any]]) -> None:
    made, done = mended(said)
    assert sum(done.values()) == len(said) - len(made)
    assert mended(made) == (made, {})
    if misplaced(said) is None and said and said[-1]["role"] == "assistant":
        assert (made, done) == (list(said), {})
    roles = [part(turn) for turn in said]
    if {*roles} <= {"user", "assistant"} and len({turn["train"] for turn in said}) < 2:
        assert misplaced(made) is None
        assert sum(turn["content"].count("a ") for turn in made) == len(said) - done.get(
            "removed_before", 0
        ) - done.get("removed_after", 0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    said=st.lists(
        st.tuples(st.sampled_from(["human", "gpt", "system", "observation"]), st.text(max_size=5)), max_size=8
    )
)
def test_a_record_holds_what_the_row_says(run: Any, said: Any) -> None:
    found = outcome(run, turns(*said), html="keep")
    if isinstance(found, Record):
        kept = [text for name, text in said if name != "system" or text.strip()]
        assert [content for _, content in contents(found)] == kept


@pytest.mark.parametrize("order", ["refuse", "repair"])
def test_real_rows(run: Any, real: Any, tally: Any, order: str) -> None:
    for name, count in (
        ("sharegpt/dummy_conversation.json.gz", 500),
        ("format_demos/glaive_toolcall_en_demo.json.gz", 300),
    ):
        path = real(name)
        outcomes = run(ShareGPT, path, order=order)
        assert tally(outcomes) == {"record": count}
        for raw, made in zip(read_rows([path]), outcomes, strict=True):
            assert "repairs" not in json.loads(made["meta"] or "{}")
            for said, turn in zip(raw["conversations"], made["messages"], strict=True):  # type: ignore[index]
                if said["from"] == "function_call":
                    assert [call["function"] for call in json.loads(turn["tool_calls"])] == [json.loads(said["value"])]
                else:
                    assert turn["content"] == said["value"]


def test_pairs_of_this_shape(run: Any) -> None:
    answers = {"chosen": {"from": "gpt", "value": "Hello.", "score": 3}, "rejected": {"from": "gpt", "value": "What?"}}
    [made] = run(Pairs, [turns(("system", "Be brief."), ("human", "Hi"), **answers)], layout="sharegpt")
    assert [turn["role"] for turn in made["prompt"]] == ["system", "user"]
    assert [made[side][0]["content"] for side in ("chosen", "rejected")] == ["Hello.", "What?"]
    assert json.loads(made["meta"]) == {"chosen": {"0": {"score": 3}}}
    [failed] = run(Pairs, [turns(("human", "Hi"), **answers)])
    assert failed.code == "E-DATA-003"
    wrong = {**answers, "chosen": {"from": "human", "value": "Hello."}}
    [failed] = run(Pairs, [turns(("human", "Hi"), **wrong)], layout="sharegpt")
    assert failed.code == "E-FORMAT-020"


def test_real_pairs_of_this_shape(run: Any, real: Any, tally: Any) -> None:
    path = real("format_demos/dpo_en_demo.json.gz")
    outcomes = run(Pairs, path, layout="sharegpt")
    assert tally(outcomes) == {"record": 300}
    for raw, made in zip(read_rows([path]), outcomes, strict=True):
        for side in ("chosen", "rejected"):
            assert made[side][0]["content"] == raw[side]["value"]  # type: ignore[index]
        assert len(made["prompt"]) == len(raw["conversations"])  # type: ignore[index]
