from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itune_core.api import Drop, Failed, Record, Row, read_rows
from itune_formatters.instructions.alpaca import Alpaca

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=20)


def contents(outcome: Any) -> list[tuple[str, str]]:
    assert isinstance(outcome, Record), outcome
    return [(turn["role"], turn["content"]) for turn in outcome["messages"]]


def row(**fields: Any) -> dict[str, Any]:
    return {"instruction": "Double it.", "input": "21", "output": "42", **fields}


@pytest.mark.parametrize(
    ("given_", "asked"),
    [
        ("21", "Double it.\n\n21"),
        (" 21\n", "Double it.\n\n 21\n"),
        ("", "Double it."),
        (None, "Double it."),
        (" \n", "Double it."),
        ("<noinput>", "Double it."),
        ("No input.", "Double it."),
        ('"<noinput>"', "Double it."),
        ("`<noinput>`", "Double it."),
        (r"\<noinput\>", "Double it."),
        ("< NoInput >", "Double it."),
        ("No input required.", "Double it."),
        ("<noinput> 8", "Double it.\n\n<noinput> 8"),
        ("The boy <noinput> the ball", "Double it.\n\nThe boy <noinput> the ball"),
        ("noinputs", "Double it.\n\nnoinputs"),
    ],
)
def test_the_input_joins_the_instruction_where_there_is_one(run: Any, given_: str | None, asked: str) -> None:
    [made] = run(Alpaca, [row(input=given_)])
    assert contents(made) == [("user", asked), ("assistant", "42")]


def test_the_input_may_be_missing(run: Any) -> None:
    [made] = run(Alpaca, [{"instruction": "Say 42.", "output": "42"}])
    assert contents(made) == [("user", "Say 42."), ("assistant", "42")]


@pytest.mark.parametrize(
    ("given_", "asked"),
    [
        ("21", "### Instruction:\nDouble it.\n\n### Input:\n21\n\n### Response:"),
        ("<noinput>", "### Instruction:\nDouble it.\n\n### Response:"),
    ],
)
def test_the_headings_of_its_prompt(run: Any, given_: str, asked: str) -> None:
    """Two forms, with an input and without; after the last colon nothing stands."""
    [made] = run(Alpaca, [row(input=given_)], frame={"style": "headed"})
    assert contents(made) == [("user", asked), ("assistant", "42")]


def test_braces_in_a_row_are_text(run: Any) -> None:
    [made] = run(Alpaca, [row(instruction="{input}", input="{{ instruction }}")])
    assert contents(made)[0] == ("user", "{input}\n\n{{ instruction }}")


def test_drops_and_failures(run: Any) -> None:
    rows = [
        row(output=""),
        row(output=" \n"),
        row(output="<nooutput>"),
        row(output="<No input>"),
        row(output="No output"),
        row(instruction=" "),
        {"instruction": "a"},
        row(output=None),
        row(output=42),
        row(input=["21"]),
        ["a", "b"],
    ]
    assert [getattr(outcome, "reason", getattr(outcome, "code", "record")) for outcome in run(Alpaca, rows)] == [
        "empty-output",
        "empty-output",
        "placeholder-output",
        "placeholder-output",
        "record",
        "empty-instruction",
        "E-DATA-002",
        "E-DATA-002",
        "E-DATA-003",
        "E-DATA-003",
        "E-DATA-007",
    ]


def test_other_fields_are_kept(run: Any) -> None:
    extra = {"task": "t", "category": "c", "references": ["r"], "license": None, "id": 7, "scores": [1]}
    [made] = run(Alpaca, [row(**extra, source="s")], source="unused")
    expected = {"task": "t", "category": "c", "references": ["r"], "license": None, "source": "s"}
    assert {name: made[name] for name in expected} == expected
    assert made["meta"] == '{"id": 7, "scores": [1]}'


def test_a_common_column_of_another_type_goes_to_meta(run: Any) -> None:
    [made] = run(Alpaca, [row(category=["a", "b"], references="r")])
    assert (made["category"], made["references"]) == (None, [])
    assert made["meta"] == '{"category": ["a", "b"], "references": "r"}'


def test_source_and_limit(run: Any) -> None:
    made = run(Alpaca, [row(output=str(number)) for number in range(5)], source="mine", limit=2)
    assert [(item["source"], contents(item)[-1][1]) for item in made] == [("mine", "0"), ("mine", "1")]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(instruction=TEXT, given_=TEXT, output=TEXT)
def test_no_text_is_lost(run: Any, instruction: str, given_: str, output: str) -> None:
    [outcome] = run(Alpaca, [{"instruction": instruction, "input": given_, "output": output}])
    if isinstance(outcome, Drop):
        assert not instruction.strip() or not output.strip()
        return
    assert not isinstance(outcome, Failed)
    (_, asked), (_, answer) = contents(outcome)
    assert answer == output
    assert asked == (f"{instruction}\n\n{given_}" if given_.strip() else instruction)


def test_all_of_alpaca(run: Any, real: Any, tally: Any) -> None:
    path = real("alpaca/alpaca_data.jsonl.gz")
    outcomes = run(Alpaca, path)
    assert tally(outcomes) == {"record": 51_922, "empty-output": 28, "placeholder-output": 52}
    # 31,323 of the 52,002 inputs are empty and 637 say that there is none; every row of these that is kept asks the
    # instruction alone, every other one asks both.
    alone = 0
    for raw, outcome in zip(read_rows([path]), outcomes, strict=True):
        assert isinstance(raw, Row)
        if isinstance(outcome, Record):
            (_, asked), (_, answer) = contents(outcome)
            assert answer == raw["output"]
            assert asked in (raw["instruction"], f"{raw['instruction']}\n\n{raw['input']}")
            alone += asked == raw["instruction"]
    assert alone == 31_924


def test_korean_and_chinese_rows(run: Any, real: Any, tally: Any) -> None:
    assert tally(run(Alpaca, real("ko/ko_alpaca_500.jsonl.gz"))) == {"record": 500}
    assert tally(run(Alpaca, real("zh/alpaca_zh_500.jsonl.gz"))) == {
        "record": 498,
        "empty-output": 1,
        "placeholder-output": 1,
    }
