"""Rows that are judged together: order, limits, bad rows among them, and memory."""

from __future__ import annotations

import json
import random
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itune_core.api import BadRow, Kind, Row, RowError, Used, text
from itune_core.testing import BenchContext
from itune_formatters.groups import GroupFormatter, Outcome


class Joined(GroupFormatter):
    """The words of a group, at its smallest word. Source: these tests."""

    produces = Kind.TEXT

    def group(self, row: Row) -> str:
        return row.text("group")

    def format_group(self, rows: Sequence[Row]) -> Sequence[Sequence[Outcome]]:
        words = [row["word"] for row in rows]
        first = words.index(min(words))
        made = text(" ".join(sorted(words)))
        return [[made if number == first else Used("joined")] for number in range(len(rows))]


def outcomes(path: Path, rows: Sequence[Any], **config: Any) -> list[tuple[int, str]]:
    """(line, text or reason or code) of what becomes of rows; a text is a line as it is."""
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows), encoding="utf-8")
    component = Joined(Joined.Config(path=str(path), **config))
    return [
        (int(where.rpartition(":")[2]), getattr(item, "reason", getattr(item, "code", None)) or item["text"])  # type: ignore[index]
        for where, item in component.itune_format(context=BenchContext(path.parent))
    ]


def test_outcomes_come_in_the_order_of_rows(tmp_path: Path) -> None:
    rows = [
        {"group": "a", "word": "x"},
        {"group": "b", "word": "y"},
        "no row",
        {"group": 7, "word": "z"},
        {"group": "a", "word": "w"},
        {"word": "v"},
        {"group": "b", "word": "u"},
    ]
    expected = [
        (1, "joined"),
        (2, "joined"),
        (3, "E-DATA-007"),
        (4, "E-DATA-003"),
        (5, "w x"),
        (6, "E-DATA-002"),
        (7, "u y"),
    ]
    assert outcomes(tmp_path / "rows.jsonl", rows) == expected
    assert outcomes(tmp_path / "rows.jsonl", rows, limit=4) == [(1, "x"), (2, "y"), *expected[2:4]]


def test_a_source_is_written_into_records(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"group": "a", "word": "x"}\n')
    component = Joined(Joined.Config(path=str(tmp_path / "rows.jsonl"), source="mine"))
    [(_, made)] = component.itune_format(context=BenchContext(tmp_path))
    assert made["source"] == "mine"  # type: ignore[index]


def test_a_file_that_grew_shorter_loses_nothing() -> None:
    rows = [Row({"group": name, "word": name}, f"f:{number}") for number, name in enumerate("abab")]
    readings = iter([rows, [*rows[:3], BadRow(RowError("gone"), "f:3")]])

    class Shrinking(Joined):
        """Reads one row fewer the second time. Source: these tests."""

        def read(self) -> Iterator[Row | BadRow]:
            return iter(next(readings))

    component = Shrinking(Shrinking.Config(path="none"))
    found = [where for where, _ in component.itune_format(context=BenchContext(Path()))]
    assert found == ["f:0", "f:1", "f:2", "f:3"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(st.sampled_from("abc"), max_size=12), seed=st.integers(0, 9))
def test_every_row_once_and_every_word_once(tmp_path: Path, names: list[str], seed: int) -> None:
    rows = [{"group": name, "word": f"{name}{number}"} for number, name in enumerate(names)]
    random.Random(seed).shuffle(rows)
    found = outcomes(tmp_path / "rows.jsonl", [*rows, "x"])
    assert [line for line, _ in found] == list(range(1, len(rows) + 2))
    said = [word for _, said in found for word in said.split() if word not in ("joined", "E-DATA-007")]
    assert sorted(said) == sorted(row["word"] for row in rows)


def test_memory_is_that_of_a_group_and_of_the_names(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with path.open("w") as stream:
        for number in range(6000):
            stream.write(json.dumps({"group": f"g{number // 3}", "word": f"{number:02000d}"}) + "\n")
    component = Joined(Joined.Config(path=str(path)))
    tracemalloc.start()
    count = sum(1 for _ in component.itune_format(context=BenchContext(tmp_path)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 6000
    assert peak < 2_000_000 < path.stat().st_size / 5
