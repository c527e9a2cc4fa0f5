"""`japanese-instruction` and `ichikara`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from itune_core.api import Record, Row, read_rows
from itune_formatters.instructions.ichikara import Ichikara
from itune_formatters.instructions.japanese_instruction import JapaneseInstruction


def turns(made: Any) -> list[tuple[str, str]]:
    assert isinstance(made, Record), made
    return [(turn["role"], turn["content"]) for turn in made["messages"]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("### 指示:\n数えてください。\n\n### 回答:\n三つです。", ["数えてください。", "三つです。"]),
        ("### 指示:\n要約して。\n\n### 入力:\n長い話。\n\n### 応答:\n短い話。", ["要約して。\n\n長い話。", "短い話。"]),
        ("### 指示\n数えて。\n### 回答\n三つ。\n", ["数えて。", "三つ。"]),
        ("### 指示：数えて。\n### 回答：三つ。", ["数えて。", "三つ。"]),
        (
            "### 指示: \n数えて。\n\n### 応答: \n## 見出し\n### 補足\n三つ。",
            ["数えて。", "## 見出し\n### 補足\n三つ。"],
        ),
    ],
)
def test_texts_below_headings(run: Any, text: str, expected: list[str]) -> None:
    [made] = run(JapaneseInstruction, [{"text": text, "index": 4}], layout="text")
    assert turns(made) == list(zip(("user", "assistant"), expected, strict=True))
    assert (made["language"], made["meta"]) == ("ja", '{"index": 4}')


PREAMBLE = "次の指示に答えてください。"
WHOLE = f"{PREAMBLE}\n\n### 指示:\n数えて。\n\n### 応答:\n三つ。</s>"


def test_a_sentence_before_the_headings(run: Any) -> None:
    [made] = run(JapaneseInstruction, [{"text": WHOLE}], layout="text", preamble="system", end="</s>")
    assert turns(made) == [("system", PREAMBLE), ("user", "数えて。"), ("assistant", "三つ。")]
    [failed] = run(JapaneseInstruction, [{"text": WHOLE}], layout="text", end="</s>")
    assert failed.code == "E-FORMAT-036"
    assert PREAMBLE in failed.message


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("### 指示:\n一\n\n### 応答:\n二\n\n### 指示:\n三\n\n### 応答:\n四", "E-FORMAT-030"),
        ("### 応答:\n二\n\n### 指示:\n一", "E-FORMAT-030"),
        ("### 指示:\n一\n\n### 応答:\n二\n\n### 回答:\n三", "E-FORMAT-030"),
        ("### 指示書を読む\n\n### 回答:\n二", "E-FORMAT-030"),
        ("指示: 一\n回答: 二", "E-FORMAT-030"),
        ("### 指示:\n一\n\n### 回答:\n", "empty-output"),
        ("### 指示:\n\n### 回答:\n二", "empty-instruction"),
        (7, "E-DATA-003"),
    ],
)
def test_texts_that_do_not_fit(run: Any, text: Any, outcome: str) -> None:
    [tested] = run(JapaneseInstruction, [{"text": text}], layout="text")
    assert getattr(tested, "reason", getattr(tested, "code", "record")) == outcome


def test_a_text_without_its_end(run: Any) -> None:
    [failed] = run(JapaneseInstruction, [{"text": "### 指示:\n一\n\n### 回答:\n二"}], layout="text", end="</s>")
    assert failed.code == "E-FORMAT-030"
    assert "'</s>'" in failed.message


def test_fields_and_japanese_headings(run: Any) -> None:
    row = {"instruction": "要約して。", "input": "長い話。", "output": "短い話。", "category": "summary"}
    [made] = run(JapaneseInstruction, [row], frame={"style": "headed"})
    assert turns(made)[0] == ("user", "### 指示:\n要約して。\n\n### 入力:\n長い話。\n\n### 回答:")
    assert (made["category"], made["language"]) == ("summary", "ja")
    [made] = run(JapaneseInstruction, [{**row, "input": None}], frame={"style": "headed"})
    assert turns(made)[0] == ("user", "### 指示:\n要約して。\n\n### 回答:")


def test_headed_texts_come_back_as_they_were(run: Any) -> None:
    """What the frame writes, the reader reads."""
    text = "### 指示:\n要約して。\n\n### 入力:\n長い話。\n\n### 回答:\n短い話。"
    [made] = run(JapaneseInstruction, [{"text": text}], layout="text", frame={"style": "headed"})
    (_, asked), (_, answer) = turns(made)
    assert f"{asked}\n{answer}" == text


def test_all_of_the_japanese_answers(run: Any, real: Any, tally: Any) -> None:
    """80 questions, each answered by seven models, and ten more answers as references: byte for byte."""
    path = real("ja/ja_vicuna_qa.jsonl.gz")
    outcomes = run(JapaneseInstruction, path)
    assert tally(outcomes) == {"record": 570}
    for raw, made in zip(read_rows([path]), outcomes, strict=True):
        assert isinstance(raw, Row)
        (_, asked), (_, answer) = turns(made)
        assert (asked.encode(), answer.encode()) == (raw["instruction"].encode(), raw["output"].encode())
        meta = {name: raw[name] for name in ("question_id", "model_id", "ref")}
        assert (made["category"], json.loads(made["meta"])) == (raw["category"], meta)


def test_ichikara(run: Any) -> None:
    """Two people answered one question; both answers stay."""
    rows = [
        {"ID": "set-001-0001-a", "text": "富士山の高さは？", "output": "3776メートルです。"},
        {"ID": "set-001-0001-b", "text": "富士山の高さは？", "output": "約3800メートル。\n"},
    ]
    outcomes = run(Ichikara, rows)
    assert [turns(made) for made in outcomes] == [
        [("user", "富士山の高さは？"), ("assistant", "3776メートルです。")],
        [("user", "富士山の高さは？"), ("assistant", "約3800メートル。\n")],
    ]
    assert [(made["meta"], made["language"]) for made in outcomes] == [
        ('{"ID": "set-001-0001-a"}', "ja"),
        ('{"ID": "set-001-0001-b"}', "ja"),
    ]
    [made] = run(Ichikara, rows[:1], frame={"style": "headed"})
    assert turns(made)[0][1] == "### 指示:\n富士山の高さは？\n\n### 回答:"


@pytest.mark.parametrize(
    ("row", "outcome"),
    [
        ({"ID": "a", "text": "", "output": "b"}, "empty-instruction"),
        ({"ID": "a", "text": "a", "output": " "}, "empty-output"),
        ({"ID": "a", "text": "a"}, "E-DATA-002"),
        ({"ID": "a", "text": ["a"], "output": "b"}, "E-DATA-003"),
    ],
)
def test_ichikara_drops_and_failures(run: Any, row: dict[str, Any], outcome: str) -> None:
    [tested] = run(Ichikara, [row])
    assert getattr(tested, "reason", getattr(tested, "code", "record")) == outcome
