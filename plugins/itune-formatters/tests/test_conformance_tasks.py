"""The formatters of tasks keep to the contract that all formatters keep to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from itune_core.testing import FormatterConformance

TASK = {
    "Source": ["made up"],
    "Categories": ["Counting"],
    "Definition": ["Say how many words there are"],
    "Input_language": ["English"],
    "Output_language": ["English"],
    "Instance License": ["CC0"],
    "Positive Examples": [
        {"input": "one two", "output": "2", "explanation": "Two words."},
        {"input": "a b c", "output": "3", "explanation": "Three words."},
    ],
    "Negative Examples": [{"input": "one", "output": "none", "explanation": "That is one word."}],
}
INSTANCES = [
    {"id": "w-1", "input": "up and down", "output": ["3", "three"]},
    {"id": "w-2", "input": "up", "output": ["1", "one", "a single one"]},
    {"id": "w-3", "input": "nothing to say of this", "output": [" "]},
]
BAD_INSTANCES = ["no object", {"input": "up"}, {"input": 1, "output": ["1"]}, {"input": "up", "output": [1]}]


class TestSuperNI(FormatterConformance):
    component = "formatters/superni"
    rows = INSTANCES
    bad_rows = BAD_INSTANCES
    file = "task7_count.json"

    def write(self, rows: Sequence[Any], path: Path) -> None:
        path.write_text(json.dumps({**TASK, "Instances": list(rows)}), "utf-8")


class TestSuperNIDrawn(TestSuperNI):
    config = {"encoding": "drawn", "budget": {"characters": 150}}


class TestSuperNICountingTokens(TestSuperNI):
    config = {"budget": {"tokens": 40, "tokenizer": "student"}}


TEMPLATES = """\
dataset: lent
templates:
  1a: !Template
    answer_choices: back ||| lost
    id: 1a
    jinja: "Is {{thing}} {{ ['back', 'here'] | choice }}? ||| {{ answer_choices[state] }}"
    metadata: !TemplateMetadata {choices_in_prompt: false, languages: [en], metrics: [Accuracy], original_task: true}
    name: state
    reference: ''
  2b: !Template
    answer_choices: null
    id: 2b
    jinja: "{% if state == 0 %}Who lent {{thing}}? ||| {{who}}{% endif %}"
    metadata: !TemplateMetadata {choices_in_prompt: null, languages: [], metrics: [], original_task: null}
    name: lender
    reference: ''
"""
LENT = [
    {"thing": "the saw", "who": "Ana", "state": 0},
    {"thing": "a ladder ||| and a rope", "who": "Bo", "state": 1, "note": "wet"},
    {"thing": "the key", "who": "Cy", "state": -1},
]


def lent(folder: Path) -> dict[str, Any]:
    path = folder / "templates.yaml"
    path.write_text(TEMPLATES, "utf-8")
    return {"templates": str(path)}


class TestTemplates(FormatterConformance):
    component = "formatters/templates"
    rows = LENT

    def config(self, folder: Path) -> dict[str, Any]:
        return lent(folder)


class TestAllTemplates(FormatterConformance):
    component = "formatters/templates"
    rows = LENT

    def config(self, folder: Path) -> dict[str, Any]:
        return {**lent(folder), "per_row": None}


PAIRS = [
    {"premise": "It rains.", "hypothesis": "The street is wet.", "label": 0, "rationale": "Rain falls on streets."},
    {"premise": "Ana lent Bo a saw.", "hypothesis": "Bo has no saw.", "label": 1},
    {"premise": "The shop is shut.", "hypothesis": "It is Sunday.", "label": 2, "from": "notes"},
    {"premise": "", "hypothesis": "Nothing is said.", "label": 2},
]
ANSWER = {"field": "label", "choices": [{"constant": text} for text in ("yes", "no", "perhaps")]}


class TestFlan(FormatterConformance):
    component = "formatters/flan"
    config = {"set": "entailment", "slots": {"answer": ANSWER}}
    rows = PAIRS


class TestFlanFewShot(FormatterConformance):
    component = "formatters/flan"
    rows = PAIRS

    def config(self, folder: Path) -> dict[str, Any]:
        pool = folder / "pool.jsonl"
        pool.write_text("".join(json.dumps(row) + "\n" for row in PAIRS), "utf-8")
        return {
            "set": "entailment",
            "slots": {"answer": ANSWER},
            "demonstrations": {"path": str(pool)},
            "few_shot": 1.0,
            "budget": {"tokens": 200, "tokenizer": "student"},
        }
