from __future__ import annotations

import json
from typing import Any

import pytest

from itune_core.api import Kind
from itune_formatters.preferences.pairs import Pairs

HELLO = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]


def said(content: str, **more: Any) -> list[dict[str, Any]]:
    return [{"role": "assistant", "content": content, **more}]


def contents(turns: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(turn["role"], turn["content"]) for turn in turns]


@pytest.mark.parametrize("prompt", ["Hi", [{"role": "user", "content": "Hi"}]])
@pytest.mark.parametrize("chosen", ["Hello.", said("Hello.")])
@pytest.mark.parametrize("rejected", ["What?", said("What?")])
def test_text_and_messages_mean_the_same(run: Any, prompt: Any, chosen: Any, rejected: Any) -> None:
    [made] = run(Pairs, [{"prompt": prompt, "chosen": chosen, "rejected": rejected}])
    assert made.kind is Kind.PREFERENCE
    assert contents(made["prompt"]) == [("user", "Hi")]
    assert contents(made["chosen"]) == [("assistant", "Hello.")]
    assert contents(made["rejected"]) == [("assistant", "What?")]
    assert (made["probability"], made["margin"], made["meta"]) == (None, None, None)


def test_numbers_and_other_fields(run: Any) -> None:
    row = {"prompt": "a", "chosen": "b", "rejected": "c", "probability": 0.75, "margin": 2, "score_chosen": 8.5}
    [made] = run(Pairs, [row])
    assert (made["probability"], made["margin"], made["meta"]) == (0.75, 2.0, '{"score_chosen": 8.5}')


def test_whole_conversations(run: Any) -> None:
    row = {"chosen": [*HELLO, *said("Hello.", refusal="no")], "rejected": [*HELLO, *said("What?")], "prompt": "Hi"}
    without = {key: value for key, value in row.items() if key != "prompt"}
    for made in run(Pairs, [row, without, {**row, "prompt": HELLO}], layout="whole"):
        assert contents(made["prompt"]) == [("system", "Be brief."), ("user", "Hi")]
        assert contents(made["chosen"]) == [("assistant", "Hello.")]
        assert contents(made["rejected"]) == [("assistant", "What?")]
        assert json.loads(made["meta"]) == {"chosen": {"2": {"refusal": "no"}}}


def test_the_layout_is_not_guessed(run: Any) -> None:
    whole = {"prompt": "Hi", "chosen": [*HELLO, *said("a")], "rejected": [*HELLO, *said("b")]}
    [failed] = run(Pairs, [whole])
    assert (failed.code, "separate" in failed.message) == ("E-FORMAT-020", True)
    separate = {"prompt": "Hi", "chosen": said("a"), "rejected": said("b")}
    [failed] = run(Pairs, [separate], layout="whole")
    assert (failed.code, "whole" in failed.message) == ("E-FORMAT-021", True)
    [dropped] = run(Pairs, [{**separate, "prompt": None}], layout="whole")
    assert dropped.reason == "empty-prompt"


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({"chosen": " "}, "empty-output"),
        ({"rejected": said("")}, "empty-output"),
        ({"rejected": said("", tool_calls=[{"name": "f"}])}, "record"),
        ({"prompt": ""}, "empty-prompt"),
        ({"rejected": "Hello."}, "equal-responses"),
        ({"prompt": None}, "E-DATA-002"),
        ({"chosen": 7}, "E-DATA-003"),
        ({"chosen": []}, "E-FORMAT-010"),
        ({"prompt": HELLO[:1]}, "E-DATA-011"),
        ({"chosen": [*said("a"), *HELLO[1:]]}, "E-DATA-011"),
        ({"probability": 1.5}, "E-DATA-013"),
        ({"probability": "high"}, "E-DATA-013"),
        ({"margin": [1]}, "E-DATA-013"),
    ],
)
def test_drops_and_failures(run: Any, fields: dict[str, Any], outcome: str) -> None:
    [tested] = run(Pairs, [{"prompt": "Hi", "chosen": "Hello.", "rejected": "What?", **fields}])
    assert getattr(tested, "reason", getattr(tested, "code", "record")) == outcome


def test_whole_conversations_that_part_earlier(run: Any) -> None:
    other = [HELLO[0], {"role": "user", "content": "Bye"}]
    [dropped] = run(Pairs, [{"chosen": [*HELLO, *said("a")], "rejected": [*other, *said("b")]}], layout="whole")
    assert dropped.reason == "prompts-differ"
