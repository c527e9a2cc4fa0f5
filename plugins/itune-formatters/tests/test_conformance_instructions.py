"""Formatters of instruction data keep to the contract that all formatters keep to."""

from __future__ import annotations

from pathlib import Path

from itune_core.testing import FormatterConformance


class TestChainOfThought(FormatterConformance):
    component = "formatters/chain-of-thought"
    rows = [
        {"question": "Two dozen?", "answer": "Twelve and 12+12=<<12+12=24>>24.\n#### 24"},
        {"question": "Three fours?", "answer": "4 + 4 + 4 is 12.\n#### 12", "level": 1},
        {"question": "None at all?", "answer": "#### 0"},
    ]


class TestColumns(FormatterConformance):
    component = "formatters/columns"
    config = {
        "columns": {
            "instruction": {"template": "{{ question }} ({{ options | join(' or ') }})"},
            "output": {"field": "label", "choices": "options"},
            "category": "topic",
        }
    }
    rows = [
        {"question": "A tree?", "options": ["ash", "ant"], "label": 0, "topic": "plants"},
        {"question": "A drink?", "options": ["hat", "tea"], "label": 1, "topic": "drinks"},
        {"question": "A secret?", "options": ["yes", "no"], "label": -1, "topic": "tests"},
    ]


class TestIchikara(FormatterConformance):
    component = "formatters/ichikara"
    rows = [
        {"ID": "1-a", "text": "木の名前は？", "output": "ブナです。"},
        {"ID": "1-b", "text": "木の名前は？", "output": "スギです。"},
        {"ID": "2-a", "text": "何も言わないで。", "output": " "},
    ]


class TestJapaneseInstruction(FormatterConformance):
    component = "formatters/japanese-instruction"
    config = {"layout": "text"}
    rows = [
        {"text": "### 指示:\n木の名前は？\n\n### 回答:\nブナです。"},
        {"text": "### 指示:\n要約して。\n\n### 入力:\n長い話。\n\n### 応答:\n短い話。", "n": 2},
        {"text": "### 指示:\n黙って。\n\n### 回答:\n"},
    ]


class TestKoAlpaca(FormatterConformance):
    component = "formatters/koalpaca"
    rows = [
        {"instruction": "나무 이름은?", "input": "", "output": "참나무입니다."},
        {"instruction": "번역하세요.", "input": "a ladder", "output": "사다리", "url": "https://example.org"},
        {"instruction": "그리세요.", "input": "입력 없음", "output": "<nooutput>"},
    ]


class TestLima(FormatterConformance):
    component = "formatters/lima"
    rows = [
        {"conversations": ["A tree?", "The ash."], "source": "authors"},
        {"conversations": ["Tea?", "Gladly.", "Sugar?", "No."], "source": "multi_turn"},
        {"conversations": ["Is anybody there?"], "source": "test"},
    ]


class TestSelfInstruct(FormatterConformance):
    component = "formatters/self-instruct"
    config = {"instances": "first"}
    rows = [
        {"id": "t1", "name": "tree", "instruction": "Name a tree.", "instances": [{"input": "", "output": "Ash."}]},
        {
            "id": "t2",
            "instruction": "Double it.",
            "instances": [{"input": "2", "output": "4"}, {"input": "3", "output": "6"}],
        },
        {"id": "t3", "instruction": "Say nothing.", "instances": []},
    ]


class TestDemonstrations(FormatterConformance):
    """Each row is shown two others, drawn for it from a pool."""

    component = "formatters/alpaca"
    config = {
        "demonstrations": {"path": str(Path(__file__).with_name("demonstrations.jsonl"))},
        "frame": {"demonstrations": "turns", "style": "headed"},
    }
    rows = [
        {"instruction": "Name a tree.", "input": "", "output": "The ash."},
        {"instruction": "Translate to German.", "input": "a ladder", "output": "eine Leiter"},
        {"instruction": "Draw a boat.", "input": "<noinput>", "output": "<nooutput>"},
    ]
