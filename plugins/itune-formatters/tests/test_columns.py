from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from itune_core.api import Record
from itune_formatters.instructions.columns import Columns


def turns(made: Any) -> list[tuple[str, str]]:
    assert isinstance(made, Record), made
    return [(turn["role"], turn["content"]) for turn in made["messages"]]


ROW = {
    "q": "Which is a tree?",
    "options": ["oak", "ant"],
    "label": 0,
    "why": "Oaks are woody.",
    "topic": "plants",
    "score": 0.5,
    "info": {"by": "Ana", "answers": [{"text": "oak"}, {"text": "the oak"}]},
}


def test_fields_paths_constants_templates_and_choices(run: Any) -> None:
    columns = {
        "instruction": {"constant": "Choose one."},
        "input": {"template": "{{ q }}\n{% for item in options %}- {{ item }}\n{% endfor %}"},
        "output": {"field": "label", "choices": "options"},
        "system": {"constant": "Be brief."},
        "rationale": "why",
        "references": ["info.answers[*].text", {"constant": "an oak"}],
        "category": "topic",
        "task": "info.by",
        "source": {"template": "set-{{ score }}"},
        "language": {"constant": "en"},
        "license": {"constant": "MIT"},
    }
    [made] = run(Columns, [ROW], columns=columns, frame={"rationale": "before"})
    assert turns(made) == [
        ("system", "Be brief."),
        ("user", "Choose one.\n\nWhich is a tree?\n- oak\n- ant\n"),
        ("assistant", "Oaks are woody.\n\nSo the answer is: oak"),
    ]
    expected = {
        "references": ["oak", "the oak", "an oak"],
        "rationale": "Oaks are woody.",
        "category": "plants",
        "task": "Ana",
        "source": "set-0.5",
        "language": "en",
        "license": "MIT",
    }
    assert {name: made[name] for name in expected} == expected
    # What became a part as it is stands there; what was read in part, or decided, is kept whole.
    kept = {name: ROW[name] for name in ("options", "label", "info")}
    assert json.loads(made["meta"]) == kept


@pytest.mark.parametrize(
    ("label", "choices", "answer"),
    [
        (1, [{"constant": "no"}, {"constant": "yes"}], "yes"),
        ("1", [{"constant": "no"}, {"constant": "yes"}], "yes"),
        ("B", {"A": "first", "B": "second"}, "two"),
        (True, {"false": {"constant": "no"}, "true": {"constant": "yes"}}, "yes"),
        (2, {"2": {"template": "{{ first }} and {{ second }}"}}, "one and two"),
        (1, "both", "two"),
    ],
)
def test_choices(run: Any, label: Any, choices: Any, answer: str) -> None:
    row = {"q": "a", "label": label, "first": "one", "second": "two", "both": ["one", "two"]}
    columns = {"instruction": "q", "output": {"field": "label", "choices": choices}}
    [made] = run(Columns, [row], columns=columns)
    assert turns(made)[-1] == ("assistant", answer)


@pytest.mark.parametrize("label", [-1, 2, "2", "-1", "x", None, True, 1.0, [0], {"a": 1}, "²", ""])
def test_a_label_that_names_no_choice_fails(run: Any, label: Any) -> None:
    """-1 is what test sets say where the label is secret; it never means the last choice."""
    columns = {"instruction": "q", "output": {"field": "label", "choices": [{"constant": "a"}, {"constant": "b"}]}}
    [failed] = run(Columns, [{"q": "a", "label": label}], columns=columns)
    assert failed.code == "E-FORMAT-032"


@pytest.mark.parametrize(
    ("columns", "outcome"),
    [
        ({"output": "nowhere"}, "E-FORMAT-031"),
        ({"output": "info.nowhere"}, "E-FORMAT-031"),
        ({"output": "info.answers[2].text"}, "E-FORMAT-031"),
        ({"output": "q.length"}, "E-FORMAT-031"),
        ({"output": "q[0]"}, "E-FORMAT-031"),
        ({"output": "info[0]"}, "E-FORMAT-031"),
        ({"output": "info[*].text"}, "E-FORMAT-031"),
        ({"output": "options"}, "E-FORMAT-035"),
        ({"output": "info"}, "E-FORMAT-035"),
        ({"output": "yes"}, "E-FORMAT-035"),
        ({"output": "nothing"}, "empty-output"),
        ({"output": {"template": "{{ nowhere }}"}}, "E-DATA-033"),
        ({"output": {"template": "{{ q | length + 'x' }}"}}, "E-DATA-033"),
        ({"output": {"template": "{% for item in many %}{{ big }}{% endfor %}"}}, "E-DATA-034"),
        ({"output": {"field": "label", "choices": "q"}}, "E-FORMAT-032"),
        ({"instruction": {"template": "{% if label %}{{ q }}{% endif %}"}}, "empty-instruction"),
        ({"references": ["info.answers"]}, "E-FORMAT-035"),
        ({"output": "score"}, "record"),
        ({"output": "info.answers[-1].text"}, "record"),
        ({"output": {"template": "{{ nowhere | default('none') }}"}}, "record"),
    ],
)
def test_what_becomes_of_a_row(run: Any, columns: dict[str, Any], outcome: str) -> None:
    row = {**ROW, "nothing": None, "yes": True, "big": "x" * 1000, "many": list(range(5000))}
    columns = {"instruction": "q", "output": "topic", **columns}
    [tested] = run(Columns, [row], columns=columns)
    assert getattr(tested, "reason", getattr(tested, "code", "record")) == outcome


def test_a_field_named_like_a_path_goes_first(run: Any) -> None:
    row = {"answers.text[0]": "flat", "answers": {"text": ["nested"]}, "q": "a"}
    columns = {"instruction": "q", "output": "answers.text[0]"}
    [made] = run(Columns, [row], columns=columns)
    assert turns(made)[-1] == ("assistant", "flat")
    assert json.loads(made["meta"]) == {"answers": {"text": ["nested"]}}
    del row["answers.text[0]"]
    [made] = run(Columns, [row], columns=columns)
    assert turns(made)[-1] == ("assistant", "nested")


def test_numbers_as_json_writes_them(run: Any) -> None:
    [made] = run(Columns, [{"q": 12, "a": 0.1}], columns={"instruction": "q", "output": "a"})
    assert turns(made) == [("user", "12"), ("assistant", "0.1")]
    [failed] = run(Columns, [{"q": 12, "a": float("inf")}], columns={"instruction": "q", "output": "a"})
    assert failed.code == "E-FORMAT-035"


def test_a_column_that_is_mapped_is_not_taken_from_the_field_of_its_name(run: Any) -> None:
    row = {"q": "a", "a": "b", "category": "its own", "references": ["x"], "kind": "mapped"}
    columns = {"instruction": "q", "output": "a", "category": "kind", "references": ["a"]}
    [made] = run(Columns, [row], columns=columns)
    assert (made["category"], made["references"]) == ("mapped", ["b"])
    assert json.loads(made["meta"]) == {"category": "its own", "references": ["x"]}
    [made] = run(Columns, [row], columns={"instruction": "q", "output": "a"})
    assert (made["category"], made["references"], made["meta"]) == ("its own", ["x"], '{"kind": "mapped"}')


def test_a_field_that_a_template_prints_is_not_kept_twice(run: Any) -> None:
    row = {"q": "a", "context": "long", "note": "x", "many": ["y"]}
    instruction, output = "{{ context }}: {{ q }} {{ many }}", "{{ note | upper }}"
    [made] = run(Columns, [row], columns={"instruction": {"template": instruction}, "output": {"template": output}})
    assert turns(made) == [("user", "long: a ['y']"), ("assistant", "X")]
    assert json.loads(made["meta"]) == {"note": "x", "many": ["y"]}


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"instruction": "q"}, "output"),
        ({"instruction": "q", "output": "a", "answer": "b"}, "answer"),
        ({"instruction": "q.", "output": "a"}, "a path to a field"),
        ({"instruction": "q[x]", "output": "a"}, "a path to a field"),
        ({"instruction": "", "output": "a"}, "a path to a field"),
        ({"instruction": 7, "output": "a"}, "a field's name, {constant: TEXT}"),
        ({"instruction": {"text": "a"}, "output": "a"}, "a field's name, {constant: TEXT}"),
        ({"instruction": {"template": "{{ a"}, "output": "a"}, "line 1"),
        ({"instruction": {"template": "{{ a.__class__ }}"}, "output": "a"}, "out of reach"),
        ({"instruction": {"template": "a", "constant": "b"}, "output": "a"}, "template"),
        ({"instruction": "q", "output": {"choices": ["a"]}}, "field"),
        (
            {"instruction": "q", "output": {"field": "a", "choices": [{"field": "b", "choices": "c"}]}},
            "or {template: JINJA}",
        ),
        ({"instruction": "q", "output": {"field": "a", "choices": ["b["]}}, "a path to a field"),
    ],
)
def test_mistakes_that_are_seen_before_any_row(columns: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Columns.Config(path="rows.jsonl", columns=columns)
    assert said in str(caught.value)
