"""Demonstrations from a pool: which rows are shown, and that nothing but the row and the seed decides it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from itune_core.api import DataError, Record
from itune_core.testing import BenchContext
from itune_formatters.building.instruction import InstructionFormatter
from itune_formatters.instructions.alpaca import Alpaca
from itune_formatters.instructions.chain_of_thought import ChainOfThought
from itune_formatters.instructions.self_instruct import SelfInstruct

ROWS = [
    {"instruction": f"Add {number}.", "input": f"{number + 1}", "output": f"{2 * number + 1}", "category": parity}
    for number, parity in zip(range(12), ["even", "odd"] * 6, strict=True)
]


class Spread(BenchContext):
    """A bench whose rows are handled by spawned processes, two rows at a time."""

    def map(self, function: Any, items: Any) -> Iterator[Any]:
        from itune_core.engine.local import map_local

        return map_local(function, items, workers=2, chunk=2)


def written(path: Path, rows: Sequence[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def made(
    folder: Path,
    rows: Sequence[dict[str, Any]] = ROWS,
    pool: Sequence[dict[str, Any]] = ROWS,
    *,
    formatter: type[InstructionFormatter] = Alpaca,
    context: type[BenchContext] = BenchContext,
    seed: int = 0,
    **settings: Any,
) -> dict[str, list[dict[str, Any]]]:
    """Turns by answer."""
    demonstrations = {"path": written(folder / "pool.jsonl", pool), **settings.pop("demonstrations", {})}
    paths = written(folder / "rows.jsonl", rows)
    component = formatter(formatter.Config(path=paths, demonstrations=demonstrations, **settings))
    found = [outcome for _, outcome in component.itune_format(context=context(folder, seed=seed))]
    assert all(isinstance(item, Record) for item in found), found
    return {item["messages"][-1]["content"]: item["messages"] for item in found}


def answers(turns: list[dict[str, Any]]) -> list[str]:
    """Of the demonstrations, where they are turns."""
    return [turn["content"] for turn in turns[:-1] if turn["role"] == "assistant"]


AS_TURNS = {"frame": {"demonstrations": "turns"}}


def test_a_row_is_shown_so_many_others_and_never_itself(tmp_path: Path) -> None:
    for answer, turns in made(tmp_path, **AS_TURNS).items():
        shown = answers(turns)
        assert len(set(shown)) == 2
        assert answer not in shown
        assert [turn["train"] for turn in turns if turn["role"] == "assistant"] == [False, False, None]


def test_another_answer_to_the_same_question_is_not_shown(tmp_path: Path) -> None:
    twin = {**ROWS[0], "output": "one"}
    found = made(tmp_path, [twin], ROWS, **AS_TURNS, demonstrations={"count": 50})
    assert len(answers(found["one"])) == len(ROWS) - 1
    assert ROWS[0]["output"] not in answers(found["one"])


def test_only_rows_of_the_same_category(tmp_path: Path) -> None:
    by_answer = {row["output"]: row["category"] for row in ROWS}
    for answer, turns in made(tmp_path, **AS_TURNS, demonstrations={"same": "category", "count": 5}).items():
        assert [by_answer[shown] for shown in answers(turns)] == [by_answer[answer]] * 5


def test_neither_the_order_of_rows_nor_other_rows_decide_what_is_shown(tmp_path: Path) -> None:
    first = made(tmp_path)
    assert made(tmp_path, ROWS[::-1], ROWS[5:] + ROWS[:5]) == first
    assert made(tmp_path, ROWS[3:4]) == {ROWS[3]["output"]: first[ROWS[3]["output"]]}
    assert made(tmp_path, seed=1) != first
    assert (
        len({str(turns[0]["content"]).split("Instruction: Add")[1] for turns in first.values()}) > 3
    )  # they differ by row


def test_spawned_workers_show_the_same(tmp_path: Path) -> None:
    assert made(tmp_path, context=Spread) == made(tmp_path)


def test_the_order_of_files_decides_nothing(tmp_path: Path) -> None:
    halves = [written(tmp_path / "a.jsonl", ROWS[:6]), written(tmp_path / "b.jsonl", ROWS[6:])]
    assert made(tmp_path, demonstrations={"path": halves[::-1]}) == made(tmp_path, demonstrations={"path": halves})


def test_a_pool_that_is_too_small_shows_what_it_has(tmp_path: Path) -> None:
    assert answers(made(tmp_path, ROWS[:1], ROWS[:2], **AS_TURNS)["1"]) == ["3"]
    assert answers(made(tmp_path, ROWS[:1], ROWS[:1], **AS_TURNS)["1"]) == []


def test_rows_of_the_pool_that_would_be_dropped_are_not_shown(tmp_path: Path) -> None:
    pool = [{**ROWS[1], "output": " "}, {**ROWS[2], "instruction": ""}, {**ROWS[3], "output": "<nooutput>"}, ROWS[4]]
    assert answers(made(tmp_path, ROWS[:1], pool, **AS_TURNS)["1"]) == ["9"]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"instruction": "a"}, "no field 'output'"),
        ({"instruction": "a", "output": 7}, "must be text"),
        ({"instruction": "a\x00", "output": "b"}, "NUL"),
        ({"instruction": "a", "output": "b", "score": float("nan")}, "cannot be kept as JSON"),
    ],
)
def test_a_bad_row_of_the_pool_stops_the_step(tmp_path: Path, bad: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError) as caught:
        made(tmp_path, pool=[*ROWS, bad])
    assert caught.value.code == "E-FORMAT-022"
    assert said in str(caught.value)
    assert f"{tmp_path / 'pool.jsonl'}:13" in str(caught.value)


def test_a_line_of_the_pool_that_cannot_be_read_stops_the_step(tmp_path: Path) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_text('{"instruction": "a", "output"', encoding="utf-8")
    with pytest.raises(DataError, match="E-FORMAT-022"):
        made(tmp_path, demonstrations={"path": str(path)})


def test_rationales_are_shown_unless_they_are_kept_apart(tmp_path: Path) -> None:
    rows = [{"question": f"{n} + {n}?", "answer": f"Twice {n}.\n#### {2 * n}"} for n in (1, 2)]
    settings = {"formatter": ChainOfThought, "demonstrations": {"count": 1}}
    [asked] = [turns[0]["content"] for turns in made(tmp_path, rows[:1], rows, **settings).values()]
    assert asked == (
        "Example 1:\nInstruction: 2 + 2?\nResponse: Twice 2.\n\nSo the answer is: 4\n\nInstruction: 1 + 1?\nResponse:"
    )
    apart = made(tmp_path, rows[:1], rows, frame={"rationale": "apart"}, **settings)["2"]
    assert apart[0]["content"] == "Example 1:\nInstruction: 2 + 2?\nResponse: 4\n\nInstruction: 1 + 1?\nResponse:"


def test_instances_of_one_row_are_shown_different_examples(tmp_path: Path) -> None:
    pairs = {name: [{"input": f"{name}{n}", "output": f"{name}{n}x"} for n in range(9)] for name in ("jump", "run")}
    tasks = [{"name": name, "instruction": f"{name}!", "instances": found} for name, found in pairs.items()]
    shown = made(tmp_path, tasks[:1], tasks, formatter=SelfInstruct, demonstrations={"same": "task"}, **AS_TURNS)
    assert len(shown) == 9
    assert len({tuple(answers(turns)) for turns in shown.values()}) > 3
    assert all(said.startswith("jump") for turns in shown.values() for said in answers(turns))
    assert all(str(turns).count("jump!") == 1 for turns in shown.values())  # a task that all share is said once
