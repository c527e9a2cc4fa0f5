"""Rows of a data set in any order, any number of times, with columns of their own: without copying their texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import datasets
    import numpy as np
    import pyarrow as pa

    Numbers = np.ndarray[Any, np.dtype[np.int64]]

DENSE = 100
"""Rows that come once more are read where they stand if their stretch is at most this many times longer than they are
many: a place that is not used costs twenty bytes, a copied row some thousand."""

STRETCHES = 64
"""Most stretches that are read where they stand; each costs a millisecond."""

BATCH = 1000
"""Rows copied at a time."""


def joined(rows: datasets.Dataset, wanted: Numbers, columns: Mapping[str, pa.Array]) -> datasets.Dataset:
    """The rows at the positions `wanted`, in that order, with `columns` aligned to them.

    Columns can be joined to whole tables only, before rows are selected: joining after would copy every text. A row
    that is wanted twice, with different values, must therefore stand in two places. It does if its file is laid behind
    itself: memory maps of one file cost nothing.
    """
    import numpy as np
    import pyarrow as pa

    if not columns:
        return select(rows, wanted)
    wide, places = _apart(rows, wanted)
    index = np.full(len(wide), -1, dtype=np.int64)
    index[places] = np.arange(len(places))
    positions = pa.array(index, mask=index < 0)
    return select(_beside(wide, {name: column.take(positions) for name, column in columns.items()}), places)


def select(rows: datasets.Dataset, positions: Numbers) -> datasets.Dataset:
    """The rows at these positions; the data set itself if they are all of it."""
    import numpy as np

    if len(positions) == len(rows) and (len(rows) == 0 or np.array_equal(positions, np.arange(len(rows)))):
        return rows
    return rows.select(positions)


def _beside(rows: datasets.Dataset, columns: Mapping[str, pa.Array]) -> datasets.Dataset:
    import datasets
    import pyarrow as pa

    return datasets.concatenate_datasets([rows, datasets.Dataset(pa.table(dict(columns)))], axis=1)


def _apart(rows: datasets.Dataset, wanted: Numbers) -> tuple[datasets.Dataset, Numbers]:
    """`rows` and more of them behind, so that no two of `wanted` stand in one place; and the place of each."""
    import datasets
    import numpy as np

    parts, places, end = [rows], wanted.astype(np.int64), len(rows)
    for again in _again(wanted):
        needed = wanted[again]
        low, high = int(needed.min()), int(needed.max()) + 1
        if high - low <= DENSE * len(needed) and len(np.unique(needed)) == len(needed):
            parts.append(rows.select(range(low, high)))
            places[again] = end + needed - low
        else:
            parts.append(_copied(rows, needed))
            places[again] = end + np.arange(len(needed))
        end += len(parts[-1])
    return datasets.concatenate_datasets(parts) if len(parts) > 1 else rows, places


def _again(wanted: Numbers) -> Iterator[Numbers]:
    """Which of `wanted` come for the second time, which for the third, and so on; the last ones all together."""
    import numpy as np

    order = np.argsort(wanted, kind="stable")
    first = np.flatnonzero(np.diff(wanted[order], prepend=-1))  # no position is -1
    time = np.empty(len(wanted), np.int64)
    time[order] = np.arange(len(wanted)) - np.repeat(first, np.diff(first, append=len(wanted)))
    left = np.flatnonzero(time)
    for number in count(1):
        if not len(left):
            return
        now = time[left] == number if number < STRETCHES else np.ones(len(left), bool)
        yield left[now]
        left = left[~now]


def _copied(rows: datasets.Dataset, needed: Numbers) -> datasets.Dataset:
    """Rows in memory. `datasets` itself would take half a millisecond for each (``flatten_indices``)."""
    import datasets
    import numpy as np
    import pyarrow as pa

    distinct, which = np.unique(needed, return_inverse=True)
    pieces = rows.select(distinct).with_format("arrow").iter(batch_size=BATCH)
    once = pa.concat_tables([piece.combine_chunks() for piece in pieces]).combine_chunks()
    taken = [once.take(pa.array(which[start : start + BATCH])) for start in range(0, len(which), BATCH)]
    return datasets.Dataset(pa.concat_tables(taken))
