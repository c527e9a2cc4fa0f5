from __future__ import annotations

import json
import random
from typing import Any

import pytest

from itune_core.api import Kind, Record, Used, read_rows
from itune_formatters.preferences.alpaca_farm import AlpacaFarm


def row(preference: Any = 1, annotator: str = "ana", swap: bool = False, **more: Any) -> dict[str, Any]:
    """An annotation; with `swap` the two outputs stand the other way round."""
    outputs = ["The ash.", "No."][:: -1 if swap else 1]
    return {
        "instruction": "Name a tree.",
        "input": "",
        "output_1": outputs[0],
        "output_2": outputs[1],
        "preference": preference,
        "annotator": annotator,
        **more,
    }


def said(outcomes: list[Any]) -> list[str]:
    return [getattr(item, "reason", getattr(item, "code", "record")) for item in outcomes]


@pytest.mark.parametrize(
    ("verdict", "chosen", "probability"),
    [(1, "The ash.", None), (2, "No.", None), (1.0, "The ash.", None), (1.25, "The ash.", 0.75), (1.75, "No.", 0.75)],
)
def test_verdicts(run: Any, verdict: float, chosen: str, probability: float | None) -> None:
    [made] = run(AlpacaFarm, [row(verdict, generator_1="alpaca-7b")])
    assert made.kind is Kind.PREFERENCE
    assert made["prompt"][0]["content"] == "Name a tree."
    assert made["chosen"][0]["content"] == chosen
    assert {made["chosen"][0]["content"], made["rejected"][0]["content"]} == {"The ash.", "No."}
    assert made["probability"] == probability
    assert json.loads(made["meta"]) == {"preference": verdict, "annotator": "ana", "generator_1": "alpaca-7b"}


def test_the_layout_is_that_of_instructions(run: Any) -> None:
    given = row(input="in a park", instruction="Name a tree.")
    [made] = run(AlpacaFarm, [given])
    assert made["prompt"][0]["content"] == "Name a tree.\n\nin a park"
    [made] = run(AlpacaFarm, [given], frame={"style": "headed"})
    assert made["prompt"][0]["content"] == ("### Instruction:\nName a tree.\n\n### Input:\nin a park\n\n### Response:")


@pytest.mark.parametrize(
    ("fields", "result"),
    [
        ({"preference": 0}, "tie"),
        ({"preference": 1.5}, "tie"),
        ({"preference": None}, "no-preference"),
        ({"instruction": " "}, "empty-prompt"),
        ({"output_2": " "}, "empty-output"),
        ({"output_2": "The ash. "}, "equal-responses"),
        ({"preference": 3}, "E-FORMAT-049"),
        ({"preference": 0.5}, "E-FORMAT-049"),
        ({"preference": True}, "E-FORMAT-049"),
        ({"preference": "1"}, "E-FORMAT-049"),
        ({"output_1": None}, "E-DATA-002"),
        ({"input": 7}, "E-DATA-003"),
        ({"note": "\ud800"}, "E-DATA-010"),
    ],
)
@pytest.mark.parametrize("how", ["apart", "joined"])
def test_drops_and_failures(run: Any, fields: Any, result: str, how: str) -> None:
    other = row(instruction="Another?")
    assert said(run(AlpacaFarm, [{**row(), **fields}, other], annotations=how)) == [result, "record"]


def test_a_row_without_annotation_is_told(run: Any) -> None:
    given = {name: value for name, value in row().items() if name != "preference"}
    assert said(run(AlpacaFarm, [given])) == ["E-FORMAT-049"]


def test_several_annotators(run: Any) -> None:
    rows = [
        row(1, "ana"),
        row(2, "ben"),
        row(2, "cem", swap=True),
        row(0, "dag"),
        row(None, "eva"),
        row(instruction="b"),
    ]
    outcomes = run(AlpacaFarm, rows, annotations="joined")
    made = [item for item in outcomes if isinstance(item, Record)]
    assert sorted(said(outcomes)) == ["joined"] * 3 + ["no-preference"] + ["record"] * 2
    assert said(outcomes)[4:] == ["no-preference", "record"]
    # 1, 0, 1 and a half of them prefer the first
    assert (made[0]["chosen"][0]["content"], made[0]["probability"]) == ("The ash.", 0.625)
    told = json.loads(made[0]["meta"])["annotations"]
    assert {item["annotator"]: (item["preference"], item["swapped"]) for item in told} == {
        "ana": (1, False),
        "ben": (2, False),
        "cem": (2, True),
        "dag": (0, False),
    }
    assert json.loads(made[1]["meta"]) == {"annotations": [{"preference": 1, "annotator": "ana", "swapped": False}]}


def test_annotators_who_agree_and_who_do_not(run: Any) -> None:
    [made, used] = run(AlpacaFarm, [row(1, "ana"), row(2, "ben", swap=True)], annotations="joined")
    assert made["probability"] is None
    assert isinstance(used, Used)
    assert said(run(AlpacaFarm, [row(1, "ana"), row(2, "ben")], annotations="joined")) == ["tie", "tie"]


def test_the_order_of_rows_decides_nothing(run: Any) -> None:
    rows = [
        row(verdict, f"w{number}", swap=number % 3 == 0, instruction=f"Task {number % 4}")
        for number, verdict in enumerate([1, 2, 1, 1.3, 2, 2, 1.9, 1, 0, 1, 1.1, 2])
    ]

    def records(rows: Any) -> list[str]:
        outcomes = run(AlpacaFarm, rows, annotations="joined")
        return sorted(json.dumps(dict(item)) for item in outcomes if isinstance(item, Record))

    for seed in range(5):
        assert records(random.Random(seed).sample(rows, len(rows))) == records(rows)


@pytest.mark.parametrize("how", ["apart", "joined"])
def test_real_annotations(run: Any, real: Any, tally: Any, how: str) -> None:
    path = real("alpaca_eval/annotations_gpt4_alpaca-7b.json.gz")
    outcomes = run(AlpacaFarm, path, annotations=how)
    # the 16 with preference 0 are those whose outputs are equal, which no annotator was asked about
    assert tally(outcomes) == {"record": 789, "equal-responses": 16}
    for raw, made in zip(read_rows([path]), outcomes, strict=True):
        if isinstance(made, Record):
            assert made["chosen"][0]["content"] == raw[f"output_{raw['preference']}"]  # type: ignore[index]
    assert tally(run(AlpacaFarm, real("alpaca_farm/outputs_pairs.json.gz"), annotations=how)) == {"E-FORMAT-049": 6}
