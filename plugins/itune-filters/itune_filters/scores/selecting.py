"""What filters share that keep the best of all rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from itune_core.api import Failed, Record, RowError, records

if TYPE_CHECKING:
    import datasets


@dataclass(frozen=True)
class Figures:
    """A number of each row, by its place in the data set; or why it has none.

    Attributes:
        ids: of all rows, in order.
        known: the numbers.
        failed: of the other rows.
    """

    ids: Sequence[str]
    known: Mapping[int, float]
    failed: Mapping[int, Failed]


def figures(rows: datasets.Dataset, columns: Sequence[str], figure: Callable[[Record], float]) -> Figures:
    """Compute a number of each row.

    Args:
        rows: the data set.
        columns: those that `figure` reads; the others, texts above all, are not.
        figure: may raise `RowError`.
    """
    known: dict[int, float] = {}
    failed: dict[int, Failed] = {}
    there = [name for name in columns if name in rows.column_names]  # `figure` knows what to say of one that is not
    for row, record in enumerate(records(rows.select_columns(list(dict.fromkeys(["kind", *there]))))):
        try:
            known[row] = figure(record)
        except RowError as error:
            failed[row] = Failed.of(error)
    return Figures(rows["id"][:], known, failed)


def ranks(numbers: Mapping[int, float], ids: Sequence[str], *, highest: bool) -> dict[int, int]:
    """The rank of each row, from 1; of equal numbers the id that sorts first comes first, wherever its row stands."""
    ordered = sorted(numbers, key=lambda row: (-numbers[row] if highest else numbers[row], ids[row]))
    return {row: rank for rank, row in enumerate(ordered, start=1)}


def quota(size: int | None, share: float | None, total: int) -> int:
    """How many of `total` rows are kept: `size`, or their share, rounded up, so that one of a few is not none."""
    # the share as it was written: 0.1 of 30 rows are 3, though 0.1 * 30 is a little more in binary
    return min(size, total) if size is not None else math.ceil(Decimal(repr(share)) * total)


def one_of(**settings: object) -> None:
    """Check that exactly one of these settings is set.

    Raises:
        ValueError: none is, or several are.
    """
    if sum(value is not None for value in settings.values()) != 1:
        *names, last = settings
        raise ValueError(f"set one of {', '.join(names)} and {last}")
