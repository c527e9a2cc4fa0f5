"""Tables that observers left for the report, ``notes/*.json`` in the run's folder (``itune_core.api.hookspecs``)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = "notes"
BYTES = 1_000_000
"""A larger file is no table for people."""
ROWS = 1_000
"""Rows shown of a note."""

Cell = str | int | float | bool | None


@dataclass(frozen=True)
class Note:
    """A table, or why there is none.

    Attributes:
        title: its heading; of one that cannot be read, the file's name.
        columns, rows: the table, as far as it is shown.
        left_out: number of rows that are not shown.
        problem: what is wrong with the file; None if it is a table.
    """

    title: str
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[Cell]] = ()
    left_out: int = 0
    problem: str | None = None


def read_notes(run: Path) -> list[Note]:
    """The notes in a run's folder, by file name. One that is malformed says so, and hides no other."""
    return [_read(path) for path in sorted((run / FOLDER).glob("*.json"))]


def _read(path: Path) -> Note:
    try:
        if path.stat().st_size > BYTES:
            raise ValueError(f"it is larger than {BYTES:,} bytes")
        found = json.loads(path.read_text("utf-8"))
        title, columns, rows = _table(found)
    except (OSError, ValueError, RecursionError) as error:
        return Note(path.name, problem=str(error) or type(error).__name__)
    return Note(title, columns, rows[:ROWS], max(0, len(rows) - ROWS))


def _table(found: Any) -> tuple[str, list[str], list[list[Cell]]]:
    """The parts of a well-formed note.

    Raises:
        ValueError: what is wrong with it.
    """
    if not isinstance(found, dict) or found.keys() != {"title", "columns", "rows"}:
        raise ValueError("it is not an object with title, columns and rows")
    title, columns, rows = found["title"], found["columns"], found["rows"]
    if not isinstance(title, str):
        raise ValueError("its title is not text")
    if not isinstance(columns, list) or not columns or not all(isinstance(column, str) for column in columns):
        raise ValueError("its columns are not a list of texts")
    if not isinstance(rows, list):
        raise ValueError("its rows are not a list")
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(columns):
            raise ValueError(f"its row {number} is not a list of {len(columns)} cells")
        if not all(cell is None or isinstance(cell, (str, int, float)) for cell in row):
            raise ValueError(f"its row {number} has a cell that is neither text nor a number")
    return title, columns, rows
