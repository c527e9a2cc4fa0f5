"""What a task's records say of the task: its instructions, and the data sets it was made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from itune_core.api import DataError

BATCH = 10_000
"""Rows looked at at once."""


@dataclass
class Task:
    """One task.

    Attributes:
        name: the `task` of its records.
        instructions: its distinct instruction texts, in order.
        families: names of the data sets it comes from.
        places: of its records.
    """

    name: str
    instructions: dict[str, None] = field(default_factory=dict)
    families: set[str] = field(default_factory=set)
    places: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Reader:
    """Reads tasks from records.

    Attributes:
        instruction: field of `meta` with the task's instruction, a text or a list of texts.
        family: field of `meta` with the names of its data sets, a text or a list of texts; None: not read.
    """

    instruction: str
    family: str | None

    def read(self, rows: Any, name: str, tasks: dict[str, Task], start: int = 0) -> None:
        """Add the records of a data set to `tasks`, in order of first occurrence.

        Args:
            rows: the data set.
            name: what to call it in errors.
            tasks: by name; added to.
            start: the place of its first row.

        Raises:
            DataError: ``E-MIX-009`` a record has no task, or its `meta` lacks a field.
        """
        place = start
        for batch in rows.select_columns(["id", "task", "meta"]).with_format("arrow").iter(batch_size=BATCH):
            for row in batch.to_pylist():
                if not row["task"]:
                    raise _missing("task", row["id"], name, "its column `task` is empty")
                task = tasks.setdefault(row["task"], Task(row["task"]))
                task.places.append(place)
                task.instructions |= dict.fromkeys(self._texts(row, self.instruction, name))
                if self.family is not None:
                    task.families.update(self._texts(row, self.family, name))
                place += 1

    def _texts(self, row: Mapping[str, Any], wanted: str, name: str) -> list[str]:
        meta = _parsed(row["meta"] or "{}")
        value = meta.get(wanted) if isinstance(meta, dict) else None
        texts = [value] if isinstance(value, str) else value
        if (
            not isinstance(texts, list)
            or not texts
            or not all(isinstance(text, str) and text.strip() for text in texts)
        ):
            there = ", ".join(meta) if isinstance(meta, dict) else ""
            raise _missing(wanted, row["id"], name, f"its meta has {there or 'no fields'}")
        return texts


@lru_cache(maxsize=1024)
def _parsed(meta: str) -> Any:
    """Rows of a task often have equal meta."""
    return json.loads(meta)


def _missing(wanted: str, record: str, name: str, why: str) -> DataError:
    return DataError(
        "E-MIX-009",
        f"a record has no {wanted!r}, so that its task cannot be compared",
        where=f"record {record} of {name}",
        why=why,
        fix="name the fields of meta that hold a text or a list of texts: instruction: FIELD, family: FIELD or null",
    )
