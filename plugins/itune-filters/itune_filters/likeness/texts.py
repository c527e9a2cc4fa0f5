"""Which text of a record is compared with that of others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from itune_core.api import Kind, Record, RowError, parts, records

if TYPE_CHECKING:
    import datasets

Part = Literal["prompt", "response", "all"]

_READ = ("id", "kind", "messages", "prompt", "chosen", "rejected", "candidates", "completion", "text")


def texts_of(rows: datasets.Dataset) -> Iterator[Record]:
    """The records of `rows` with their ids and texts alone: the other columns are most of what reading costs."""
    return records(rows.select_columns([name for name in rows.column_names if name in _READ]))


def compared(record: Record, part: Part) -> list[str]:
    """The contents of the turns of `part`, in order; of several answers, all.

    System turns are left out: what stands before every row of a data set would make all of them alike. A text record is
    its text, whichever part is asked for.

    Raises:
        RowError: ``E-FILTER-002`` the record has no such part.
    """
    prompt, responses = parts(record)
    asked = [turn["content"] for turn in prompt if turn["role"] != "system"]
    answered = [turn["content"] for response in responses for turn in response]
    if record.kind is Kind.TEXT:
        return answered
    texts = {"prompt": asked, "response": answered, "all": [*asked, *answered]}[part]
    if not texts:
        raise RowError(f"a {record.kind.value} record has no {part}", "E-FILTER-002")
    return texts
