"""Leaving a table for the report of a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

Cell = str | int | float | bool | None


def leave(run: Path, name: str, title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    """Write ``notes/<name>.json`` in the folder of a run, whole or not at all; an earlier one is replaced."""
    folder = run / "notes"
    folder.mkdir(exist_ok=True)
    draft = folder / f"{name}.json.tmp"
    table = {"title": title, "columns": list(columns), "rows": [list(row) for row in rows]}
    draft.write_text(json.dumps(table, ensure_ascii=False) + "\n", "utf-8")
    draft.replace(folder / f"{name}.json")
