"""Records without the columns that nobody compares."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from itune_core.api import Record, records

if TYPE_CHECKING:
    import datasets

_READ = ("id", "kind", "messages", "prompt", "chosen", "rejected", "candidates", "completion", "text")


def texts_of(rows: datasets.Dataset) -> Iterator[Record]:
    """The records of `rows` with their ids and texts alone: the other columns are most of what reading costs."""
    return records(rows.select_columns([name for name in rows.column_names if name in _READ]))
