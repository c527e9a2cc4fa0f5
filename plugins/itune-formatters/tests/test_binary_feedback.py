from __future__ import annotations

import json
from typing import Any

import pytest

from itune_core.api import Kind, Record, read_rows
from itune_formatters.preferences.binary_feedback import BinaryFeedback

TALK = [{"role": "user", "content": "A tree?"}, {"role": "assistant", "content": "The ash."}]


def outcome(run: Any, row: Any, **config: Any) -> Any:
    [found] = run(BinaryFeedback, [row], **config)
    return found


@pytest.mark.parametrize(
    ("row", "layout"),
    [
        ({"prompt": "A tree?", "completion": "The ash."}, "separate"),
        ({"prompt": TALK[:1], "completion": TALK[1:]}, "separate"),
        ({"messages": TALK}, "whole"),
    ],
)
def test_all_layouts_mean_the_same(run: Any, row: Any, layout: str) -> None:
    made = outcome(run, {**row, "label": False, "value": 2, "by": "Ana"}, layout=layout)
    assert made.kind is Kind.FEEDBACK
    assert [turn["content"] for turn in (*made["prompt"], *made["completion"])] == ["A tree?", "The ash."]
    assert [turn["role"] for turn in (*made["prompt"], *made["completion"])] == ["user", "assistant"]
    assert (made["label"], made["value"], made["meta"]) == (False, 2.0, '{"by": "Ana"}')


@pytest.mark.parametrize(
    ("fields", "result"),
    [
        ({"label": None}, "no-label"),
        ({"label": None, "value": 0.5}, "record"),
        ({"label": 1}, "E-DATA-013"),
        ({"value": "high"}, "E-DATA-013"),
        ({"prompt": " "}, "empty-prompt"),
        ({"completion": ""}, "empty-output"),
        ({"completion": TALK[:1]}, "no-answer"),
        ({"prompt": TALK}, "E-DATA-011"),
        ({"prompt": None}, "E-DATA-002"),
        ({"completion": []}, "E-FORMAT-010"),
    ],
)
def test_drops_and_failures(run: Any, fields: Any, result: str) -> None:
    found = outcome(run, {"prompt": "A tree?", "completion": "The ash.", "label": True, **fields})
    assert getattr(found, "reason", getattr(found, "code", "record")) == result


def test_an_answer_without_a_question(run: Any) -> None:
    assert outcome(run, {"messages": TALK[1:], "label": True}, layout="whole").reason == "empty-prompt"


def test_real_rows(run: Any, real: Any, tally: Any) -> None:
    path = real("format_demos/kto_en_demo.json.gz")
    outcomes = run(BinaryFeedback, path, layout="whole")
    assert tally(outcomes) == {"record": 300}
    assert sum(made["label"] for made in outcomes if isinstance(made, Record)) == 150
    for raw, made in zip(read_rows([path]), outcomes, strict=True):
        said = [turn["content"] for turn in raw["messages"]]  # type: ignore[index]
        assert [turn["content"] for turn in (*made["prompt"], *made["completion"])] == said
        assert json.loads(made["meta"] or "{}") == {}
