"""A poisoned record: whoever reads what it holds is told that the record is bad."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

from itune_core.api.errors import RowError
from itune_core.api.records import CONTENT, Kind, Record


@dataclass
class Poison:
    """Attributes:
    victim: id of the poisoned record.
    taken: how often it was read.
    """

    victim: str
    taken: int = 0

    def take(self) -> NoReturn:
        """Raise."""
        self.taken += 1
        raise RowError("poisoned by the conformance kit", "E-KIT-001")


@contextmanager
def poisoned(victim: str) -> Iterator[Poison]:
    """Have every read of the content of the record `victim` raise a :class:`RowError`, in this process.

    It works for a record from :func:`~itune_core.api.records`, from ``context.map`` or as an argument of an easy
    method, and for a row of the data set itself (``for row in inputs["records"]``, ``inputs["records"][3]``). Whole
    columns and Arrow batches are not poisoned.
    """
    import datasets

    poison = Poison(victim)
    whole = Record.__getitem__
    rows, row = datasets.Dataset.__iter__, datasets.Dataset.__getitem__

    def __iter__(dataset: datasets.Dataset) -> Iterator[Any]:
        return (_poisoned_row(each, poison) for each in rows(dataset))

    def get(dataset: datasets.Dataset, key: Any) -> Any:
        return _poisoned_row(row(dataset, key), poison)

    def __getitem__(record: Record, column: str) -> Any:
        if column in CONTENT[record.kind] and whole(record, "id") == victim:
            poison.take()
        return whole(record, column)

    Record.__getitem__ = __getitem__  # type: ignore[method-assign]
    datasets.Dataset.__iter__, datasets.Dataset.__getitem__ = __iter__, get
    try:
        yield poison
    finally:
        Record.__getitem__ = whole  # type: ignore[method-assign]
        datasets.Dataset.__iter__, datasets.Dataset.__getitem__ = rows, row


def is_poison(error: BaseException) -> bool:
    """Whether this is what a poisoned record raises, and not what somebody made of it."""
    return isinstance(error, RowError) and error.code == "E-KIT-001"


class _PoisonedRow(dict[str, Any]):
    """A row as `datasets` gives it, of the poisoned record."""

    def __init__(self, values: dict[str, Any], poison: Poison) -> None:
        super().__init__(values)
        self.poison = poison

    def __getitem__(self, column: str) -> Any:
        if column in CONTENT[Kind(super().__getitem__("kind"))]:
            self.poison.take()
        return super().__getitem__(column)

    def get(self, column: str, default: Any = None) -> Any:
        there = column in self
        return self[column] if there else default


def _poisoned_row(given: Any, poison: Poison) -> Any:
    """`given`, poisoned if it is the row of the victim."""
    if type(given) is dict and given.get("id") == poison.victim and "kind" in given:
        return _PoisonedRow(given, poison)
    return given
