from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itune_core.api import Drop, Failed, Record, Row, read_rows
from itune_formatters.instructions.dolly import LAYOUTS, Dolly

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=20)


def row(layout: str = "databricks", context: Any = "Rome fell in 476.", response: Any = "476") -> dict[str, Any]:
    names = LAYOUTS[layout]
    return {"instruction": "When?", "category": "closed_qa", names[0]: context, names[1]: response}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("position", "context", "asked"),
    [
        ("after", "Rome fell in 476.", "When?\n\nRome fell in 476."),
        ("before", "Rome fell in 476.", "Rome fell in 476.\n\nWhen?"),
        ("before", "", "When?"),
        ("after", " ", "When?"),
        ("after", None, "When?"),
    ],
)
def test_the_context_joins_the_instruction(run: Any, layout: str, position: str, context: Any, asked: str) -> None:
    [made] = run(Dolly, [row(layout, context)], layout=layout, frame={"input": position})
    assert [(turn["role"], turn["content"]) for turn in made["messages"]] == [("user", asked), ("assistant", "476")]
    assert (made["category"], made["meta"]) == ("closed_qa", None)


@pytest.mark.parametrize(("layout", "other"), [("databricks", "renamed"), ("renamed", "databricks")])
def test_a_row_of_the_other_layout_fails_and_the_error_names_it(run: Any, layout: str, other: str) -> None:
    both = {**row(layout), **row(other)}
    for foreign in (row(other), both):
        [failed] = run(Dolly, [foreign], layout=layout)
        assert isinstance(failed, Failed)
        assert failed.code == "E-FORMAT-002"
        assert repr(other) in failed.message


def test_drops_and_failures(run: Any) -> None:
    blank = {**row(), "instruction": "\n"}
    outcomes = run(Dolly, [row(response=" "), blank, row(response=7), {"instruction": "a"}])
    assert [getattr(item, "reason", getattr(item, "code", "record")) for item in outcomes] == [
        "empty-output",
        "empty-instruction",
        "E-DATA-003",
        "E-DATA-002",
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.fixed_dictionaries({"instruction": TEXT, "context": TEXT, "response": TEXT, "category": TEXT, "more": TEXT}))
def test_no_text_is_lost(run: Any, fields: dict[str, str]) -> None:
    [outcome] = run(Dolly, [fields])
    if isinstance(outcome, Drop):
        assert not fields["instruction"].strip() or not fields["response"].strip()
        return
    asked, answer = (turn["content"] for turn in outcome["messages"])
    assert answer == fields["response"]
    assert asked == "\n\n".join(text for text in (fields["instruction"], fields["context"]) if text.strip())
    assert outcome["category"] == fields["category"]
    assert outcome["meta"] is not None


def test_all_of_the_dolly_rows(run: Any, real: Any, tally: Any) -> None:
    path = real("dolly/dolly_3k.jsonl.gz")
    outcomes = run(Dolly, path, layout="renamed")
    assert tally(outcomes) == {"record": 2_996}
    with_context = 0
    for raw, outcome in zip(read_rows([path]), outcomes, strict=True):
        assert isinstance(raw, Row)
        assert isinstance(outcome, Record)
        asked, answer = (turn["content"] for turn in outcome["messages"])
        assert (answer, outcome["category"]) == (raw["output"], raw["category"])
        assert asked.startswith(raw["instruction"])
        assert asked.endswith(raw["input"])
        with_context += bool(raw["input"])
    assert with_context == 434
    assert tally(run(Dolly, path)) == {"E-FORMAT-002": 2_996}
