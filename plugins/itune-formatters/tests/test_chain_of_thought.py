from __future__ import annotations

import json
import re
from typing import Any

import pytest

from itune_core.api import Record, Row, read_rows
from itune_formatters.instructions.chain_of_thought import ChainOfThought


def row(**fields: Any) -> dict[str, Any]:
    return {"question": "Two dozen?", "answer": "A dozen is 12.\nTwo are 2*12 = <<2*12=24>>24.\n#### 24", **fields}


def test_the_reasoning_comes_first_and_the_answer_stands_apart_too(run: Any) -> None:
    [made] = run(ChainOfThought, [row(level=3)])
    reasoning = "A dozen is 12.\nTwo are 2*12 = 24."
    assert [(turn["role"], turn["content"]) for turn in made["messages"]] == [
        ("user", "Two dozen?"),
        ("assistant", f"{reasoning}\n\nSo the answer is: 24"),
    ]
    assert (made["rationale"], made["references"], made["meta"]) == (reasoning, ["24"], '{"level": 3}')


@pytest.mark.parametrize(
    ("settings", "answer"),
    [
        ({"frame": {"rationale": "apart"}}, "24"),
        ({"frame": {"language": "ja"}}, "A dozen is 12.\nTwo are 2*12 = 24.\n\nしたがって、答えは次のとおりです：24"),
        ({"frame": {"rationale": "after"}}, "24\n\nExplanation: A dozen is 12.\nTwo are 2*12 = 24."),
        ({"calculations": "keep"}, "A dozen is 12.\nTwo are 2*12 = <<2*12=24>>24.\n\nSo the answer is: 24"),
    ],
)
def test_settings(run: Any, settings: dict[str, Any], answer: str) -> None:
    [made] = run(ChainOfThought, [row()], **settings)
    assert made["messages"][-1]["content"] == answer


def test_a_field_of_its_own_for_the_reasoning(run: Any) -> None:
    rows = [{"inputs": "Is ice cold?", "targets": "yes", "rationale": "It is frozen.", "task": "creak"}]
    names = {"question": "inputs", "answer": "targets", "rationale": "rationale"}
    [made] = run(ChainOfThought, rows, **names)
    assert made["messages"][-1]["content"] == "It is frozen.\n\nSo the answer is: yes"
    assert (made["task"], made["references"], made["meta"]) == ("creak", ["yes"], None)
    # What separates in other sets is text here, and references of the row's own stay.
    [made] = run(ChainOfThought, [{**rows[0], "targets": "#### yes", "references": ["ja"]}], **names)
    assert made["messages"][-1]["content"].endswith("#### yes")
    assert made["references"] == ["ja"]


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({"answer": "24"}, "E-FORMAT-039"),
        ({"answer": "a #### b #### c"}, "E-FORMAT-039"),
        ({"answer": "#### 24"}, "empty-rationale"),
        ({"answer": "<<1+1=2>> #### 24"}, "empty-rationale"),
        ({"answer": "Because.\n####"}, "empty-output"),
        ({"question": " "}, "empty-instruction"),
        ({"answer": None}, "E-DATA-002"),
        ({"question": 24}, "E-DATA-003"),
        ({"answer": "a\x00 #### b"}, "E-DATA-010"),
    ],
)
def test_drops_and_failures(run: Any, fields: dict[str, Any], outcome: str) -> None:
    good, tested, last = run(ChainOfThought, [row(), row(**fields), row()])
    assert getattr(tested, "reason", getattr(tested, "code", "record")) == outcome
    assert good["messages"] == last["messages"]


def test_another_separator(run: Any) -> None:
    [made] = run(ChainOfThought, [row(answer="12 and 12. Answer: 24")], separator="Answer:")
    assert made["messages"][-1]["content"] == "12 and 12.\n\nSo the answer is: 24"


def test_all_of_the_school_problems(run: Any, real: Any, tally: Any) -> None:
    path = real("gsm8k/train_500.jsonl.gz")
    outcomes = run(ChainOfThought, path)
    assert tally(outcomes) == {"record": 500}
    for raw, made in zip(read_rows([path]), outcomes, strict=True):
        assert isinstance(raw, Row)
        assert isinstance(made, Record)
        question, answer = (turn["content"] for turn in made["messages"])
        assert question == raw["question"]
        assert "<<" not in answer
        assert re.fullmatch(r"-?[\d,.]+", made["references"][0])
        assert answer == f"{made['rationale']}\n\nSo the answer is: {made['references'][0]}"
    kept = run(ChainOfThought, path, calculations="keep")
    # 497 of the 500 have marks; with them kept, the source's answer is there character for character.
    assert sum("<<" in made["rationale"] for made in kept) == 497
    for raw, made in zip(read_rows([path]), kept, strict=True):
        assert isinstance(raw, Row)
        assert raw["answer"] == f"{made['rationale']}\n#### {made['references'][0]}"
    assert json.loads(json.dumps(kept[0]["meta"])) is None
