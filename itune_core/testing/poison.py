"""A poisoned record: whoever reads what it holds is told that the record is bad."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from itune_core.api.errors import RowError
from itune_core.api.records import CONTENT, Record


@dataclass
class Poison:
    """Attributes:
    victim: id of the poisoned record.
    taken: how often it was read.
    """

    victim: str
    taken: int = 0


@contextmanager
def poisoned(victim: str) -> Iterator[Poison]:
    """Have every read of the content of the record `victim` raise a :class:`RowError`, in this process.

    It works for whichever way the component came by the record: from :func:`~itune_core.api.records`, from
    ``context.map`` or as an argument of its easy method.
    """
    poison = Poison(victim)
    whole = Record.__getitem__

    def __getitem__(record: Record, column: str) -> Any:
        if column in CONTENT[record.kind] and whole(record, "id") == victim:
            poison.taken += 1
            raise RowError("poisoned by the conformance kit", "E-KIT-001")
        return whole(record, column)

    Record.__getitem__ = __getitem__  # type: ignore[method-assign]
    try:
        yield poison
    finally:
        Record.__getitem__ = whole  # type: ignore[method-assign]
