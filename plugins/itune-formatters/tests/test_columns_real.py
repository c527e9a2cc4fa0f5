"""Data sets that need no formatter of their own: all real rows of theirs, mapped in the recipe."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

from itune_core.api import Record, Row, read_rows
from itune_formatters.instructions.columns import Columns

LETTERS = ["A", "B", "C", "D"]


def pairs(outcomes: list[Any]) -> list[tuple[str, str]]:
    assert all(isinstance(made, Record) for made in outcomes), Counter(map(str, outcomes)).most_common(3)
    return [(made["messages"][0]["content"], made["messages"][-1]["content"]) for made in outcomes]


def cells(path: str) -> list[list[str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_mmlu(run: Any, real: Any) -> None:
    """Tables without a header; the answer is a letter, and becomes the letter and the text."""
    folder = Path(real("mmlu"))
    columns = {
        "instruction": {"template": "{{ question }}\nA. {{ A }}\nB. {{ B }}\nC. {{ C }}\nD. {{ D }}"},
        "output": {"field": "answer", "choices": {x: {"template": f"{x}. {{{{ {x} }}}}"} for x in LETTERS}},
        "references": ["answer"],
    }
    counts = {}
    for split in ("dev", "val", "test"):
        files = sorted(map(str, (folder / split).glob("*.csv")))
        reading = {"header": ["question", *LETTERS, "answer"]}
        outcomes = run(Columns, f"{folder}/{split}/*.csv", columns=columns, reading=reading)
        raws = [row for file in files for row in cells(file)]
        for (question, *options, answer), (asked, said) in zip(raws, pairs(outcomes), strict=True):
            listed = "".join(f"\n{letter}. {option}" for letter, option in zip(LETTERS, options, strict=True))
            assert asked == question + listed
            assert said == f"{answer}. {options[LETTERS.index(answer)]}"
        assert {made["meta"] for made in outcomes} == {None}
        counts[split] = len(outcomes)
    assert counts == {"dev": 30, "val": 90, "test": 840}


def test_jcommonsenseqa(run: Any, real: Any) -> None:
    """A label from 0 to 4 and five fields: Japanese, byte for byte, and what was not chosen is kept."""
    path = real("ja/jcommonsenseqa_400.jsonl.gz")
    names = [f"choice{number}" for number in range(5)]
    columns = {
        "instruction": "question",
        "output": {"field": "label", "choices": names},
        "language": {"constant": "ja"},
    }
    outcomes = run(Columns, path, columns=columns)
    answers = Counter()
    for raw, made, (asked, said) in zip(read_rows([path]), outcomes, pairs(outcomes), strict=True):
        assert isinstance(raw, Row)
        assert asked.encode() == raw["question"].encode()
        assert said.encode() == raw[names[raw["label"]]].encode()
        assert json.loads(made["meta"]) == {name: raw[name] for name in ("q_id", *names, "label")}
        answers[raw["label"]] += 1
    assert sum(answers.values()) == 400
    assert len(answers) == 5


def test_jsquad(run: Any, real: Any) -> None:
    """Nested answers: the first is learned, all are references."""
    path = real("ja/jsquad_200.jsonl.gz")
    columns = {
        "instruction": "question",
        "input": {"template": "{{ context.split(' [SEP] ', 1)[1] }}"},
        "output": "answers[0].text",
        "references": ["answers[*].text"],
        "category": "title",
    }
    outcomes = run(Columns, path, columns=columns)
    count = 0
    for raw, made, (asked, said) in zip(read_rows([path]), outcomes, pairs(outcomes), strict=True):
        assert isinstance(raw, Row)
        assert asked.encode() == f"{raw['question']}\n\n{raw['context'].split(' [SEP] ', 1)[1]}".encode()
        assert (said, made["references"]) == (raw["answers"][0]["text"], [item["text"] for item in raw["answers"]])
        assert (made["category"], json.loads(made["meta"])["context"]) == (raw["title"], raw["context"])
        count += len(made["references"])
    assert (len(outcomes), count) == (200, 582)


def test_korean_chatbot(run: Any, real: Any) -> None:
    """CSV with a header, labels 0, 1 and 2 as text."""
    path = real("ko/chatbot_qa_500.csv")
    labels = ["daily life", "parting", "love"]
    columns = {
        "instruction": "Q",
        "output": "A",
        "category": {"field": "label", "choices": [{"constant": name} for name in labels]},
    }
    outcomes = run(Columns, path, columns=columns)
    for (asked, answer, label), made, pair in zip(cells(path)[1:], outcomes, pairs(outcomes), strict=True):
        assert [text.encode() for text in pair] == [asked.encode(), answer.encode()]
        assert (made["category"], made["meta"]) == (labels[int(label)], json.dumps({"label": label}))
    assert Counter(made["category"] for made in outcomes) == {"daily life": 210, "parting": 144, "love": 146}


def test_rows_that_self_instruct_was_trained_on(run: Any, real: Any, tally: Any) -> None:
    """A prompt and a completion that ends with a mark; one template of eleven left every completion empty."""
    folder = Path(real("t0"))
    columns = {"instruction": "prompt", "output": {"template": "{{ completion.removesuffix('<|endoftext|>') }}"}}
    outcomes = run(Columns, f"{folder}/*.jsonl.gz", columns=columns)
    assert tally(outcomes) == {"record": 2_000, "empty-output": 200}
    raws = read_rows([f"{folder}/*.jsonl.gz"])
    for raw, made in zip(raws, outcomes, strict=True):
        assert isinstance(raw, Row)
        if isinstance(made, Record):
            [(asked, said)] = pairs([made])
            assert (asked, f"{said}<|endoftext|>") == (raw["prompt"], raw["completion"])


def test_answers_of_self_instruct_s_models(run: Any, real: Any, tally: Any) -> None:
    names = ["davinci-self-instruct", "text-davinci-003"]
    columns = {"instruction": "instruction", "input": "input", "output": "response", "references": ["target"]}
    found = {name: run(Columns, real(f"self_instruct/{name}_predictions.jsonl.gz"), columns=columns) for name in names}
    assert {name: tally(outcomes) for name, outcomes in found.items()} == {
        "davinci-self-instruct": {"record": 252},
        "text-davinci-003": {"record": 252},
    }


def test_chinese_rows(run: Any, real: Any, tally: Any) -> None:
    path = real("zh/alpaca_zh_500.jsonl.gz")
    outcomes = run(Columns, path, columns={"instruction": "instruction", "input": "input", "output": "output"})
    assert tally(outcomes) == {"record": 499, "empty-output": 1}
    for raw, made in zip(read_rows([path]), outcomes, strict=True):
        assert isinstance(raw, Row)
        if isinstance(made, Record):
            [(asked, said)] = pairs([made])
            parts = [raw["instruction"], raw["input"]] if raw["input"].strip() else [raw["instruction"]]
            assert (asked.encode(), said.encode()) == ("\n\n".join(parts).encode(), raw["output"].encode())
