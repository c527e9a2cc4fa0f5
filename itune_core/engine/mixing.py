"""Draws as one table of numbers: read from a mixer, held against the data sets, counted by phase and data set."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, islice
from math import isclose
from numbers import Real
from operator import index
from typing import TYPE_CHECKING, Any

from itune_core.api.outcomes import Drawn, Mix
from itune_core.engine import digest
from itune_core.engine.views import View, concatenate

if TYPE_CHECKING:
    import numpy as np

    Table = np.ndarray[Any, np.dtype[np.int64]]

ORDER = ("phase", "epoch")
"""Columns that a mix gives its rows where they are not all 0."""

CHUNK = 512
"""Draws read at a time. Fewer than the 700 new objects after which Python's garbage collector goes through what the
process holds: reading a million draws takes twice as long with it."""

LIMIT = 2**31
"""Phases and epochs are stored in 32 bits."""


def read_draws(draws: Iterable[Any], sizes: Sequence[int], broken: Callable[[str], Exception]) -> Table:
    """The draws as an ``(n, 4)`` table: data set, row, phase, epoch.

    Args:
        draws: what the mixer gives; read once, in pieces.
        sizes: rows of each data set.
        broken: makes the error of a mixer that breaks the contract.
    """
    import numpy as np

    stream = iter(draws)
    pieces = [np.empty((0, 4), np.int64)]
    while piece := list(islice(stream, CHUNK)):
        others = [kind for kind in set(map(type, piece)) if not issubclass(kind, Drawn)]
        if others:
            raise broken(f"gave a {others[0].__name__}")
        try:
            # index() refuses what is no whole number, which numpy would cut to one
            numbers = np.fromiter(map(index, chain.from_iterable(piece)), np.int64, 4 * len(piece)).reshape(-1, 4)
        except (TypeError, OverflowError) as error:
            raise broken(f"drew what is not four whole numbers: {error}") from error
        wrong = _not_there(numbers, sizes)
        if wrong is not None:
            raise broken(f"drew {piece[wrong]}, which does not exist; the inputs have {list(sizes)} rows")
        pieces.append(numbers)
    return np.concatenate(pieces)


def _not_there(table: Table, sizes: Sequence[int]) -> int | None:
    """The first draw of a row, phase or epoch that cannot be."""
    import numpy as np

    data_set, row, phase, epoch = table.T
    bad = (data_set < 0) | (data_set >= len(sizes))
    rows = np.array([*sizes, 0], np.int64)[np.where(bad, -1, data_set)]
    bad |= (row < 0) | (row >= rows) | (phase < 0) | (phase >= LIMIT) | (epoch < 0) | (epoch >= LIMIT)
    return int(bad.argmax()) if bad.any() else None


def places(table: Table, sizes: Sequence[int]) -> Table:
    """The place of each drawn row in the data sets laid end to end."""
    import numpy as np

    starts = np.cumsum([0, *sizes], dtype=np.int64)
    return starts[table[:, 0]] + table[:, 1]


def mixed(views: Sequence[View], table: Table) -> View:
    """The rows drawn, in order. Where phases or epochs are not all 0, columns say them; those of a mix before are gone,
    because this one decides the order anew."""
    import numpy as np
    import pyarrow as pa

    sources = [view.without(ORDER) for view in views]
    drawn = concatenate(sources).select(places(table, [len(view) for view in views]))
    given = zip(ORDER, table.T[2:], strict=True)
    return drawn.join({name: pa.array(values.astype(np.int32)) for name, values in given if values.any()})


def order_digest(view: View) -> str:
    """The digest of a view's rows, and of the phases and epochs that a mixer gave them."""
    import numpy as np

    if view.columns.keys().isdisjoint(ORDER):
        return view.digest
    none = np.zeros(len(view), np.int64)
    order = np.stack([view.columns[name].to_numpy() if name in view.columns else none for name in ORDER], axis=1)
    # of the text that digest.canonical makes of [view.digest, order.tolist()], by runs of equal pairs
    borders = np.flatnonzero((order[1:] != order[:-1]).any(axis=1)) + 1
    starts = [0, *borders.tolist()] if len(order) else []
    found = hashlib.blake2b(b'["' + view.digest.encode() + b'",[', digest_size=digest.SIZE)
    for start, stop in zip(starts, [*starts[1:], len(order)], strict=False):
        text = b",[%d,%d]" % (order[start, 0], order[start, 1]) * (stop - start)
        found.update(text if start else text[1:])
    found.update(b"]]")
    return found.hexdigest()


def tally(table: Table, sizes: Sequence[int], mix: Mix, broken: Callable[[str], Exception]) -> list[dict[str, Any]]:
    """What was asked and what was drawn, as it stands in the manifest: one mapping a phase.

    Each has the number of its ``phase``, how many ``epochs`` it has, and the ``sources``: one mapping a data set, in
    order, with

    - ``rows``: how many it has
    - ``asked``: share of the phase's rows that was asked of it; None: no shares were asked
    - ``drawn``: rows drawn from it
    - ``distinct``: different rows among those
    - ``epochs``: how many times it was gone through: rows drawn by rows it has; 0 if it is empty
    - ``in_an_epoch``: most rows drawn in one epoch
    - ``tokens``: tokens drawn from it; None: they were not counted

    Args:
        table: the draws.
        sizes: rows of each data set.
        mix: what the mixer says of them.
        broken: makes the error of a mixer that breaks the contract.
    """
    import numpy as np

    phases = _phases(table, sizes, mix, broken)
    epochs = _different(table[:, 3])
    count, total = len(sizes), sum(sizes)
    cells = len(phases) * count  # a cell is a data set in a phase
    phase = np.searchsorted(np.array(phases, np.int64), table[:, 2])
    epoch = np.searchsorted(epochs, table[:, 3])
    cell = phase * count + table[:, 0]
    drawn = np.bincount(cell, minlength=cells)

    rows, _ = _counted(phase * total + places(table, sizes))
    owner = np.repeat(np.arange(count), sizes)[rows % max(total, 1)]
    distinct = np.bincount(rows // max(total, 1) * count + owner, minlength=cells)

    turns = max(len(epochs), 1)
    parts, times = _counted(cell * turns + epoch)
    most = np.zeros(cells, np.int64)
    np.maximum.at(most, parts // turns, times)
    passes = np.bincount(_different(phase * turns + epoch) // turns, minlength=len(phases))
    return [
        {
            "phase": named,
            "epochs": int(passes[number]),
            "sources": [
                {
                    "rows": size,
                    "asked": float(mix.asked[named][source]) if len(mix.asked) else None,
                    "drawn": int(drawn[number * count + source]),
                    "distinct": int(distinct[number * count + source]),
                    "epochs": round(float(drawn[number * count + source]) / size, 4) if size else 0.0,
                    "in_an_epoch": int(most[number * count + source]),
                    "tokens": int(mix.tokens[named][source]) if len(mix.tokens) else None,
                }
                for source, size in enumerate(sizes)
            ],
        }
        for number, named in enumerate(phases)
    ]


def _phases(table: Table, sizes: Sequence[int], mix: Mix, broken: Callable[[str], Exception]) -> list[int]:
    """The numbers of the phases: all that something was asked or counted of, else all that were drawn, else 0."""
    phases: list[int] = _different(table[:, 2]).tolist()
    said: list[tuple[str, Any]] = [("asked", mix.asked), ("tokens", mix.tokens)]  # a component's: anything
    given = [(name, told) for name, told in said if len(told)]
    if len({len(told) for _, told in given}) > 1:
        raise broken(f"gave asked for {len(mix.asked)} phases and tokens for {len(mix.tokens)}")
    for name, told in given:
        if any(not hasattr(inner, "__len__") or len(inner) != len(sizes) for inner in told):
            raise broken(f"gave {name} that are not one number for each of {len(sizes)} data sets: {told}")
        if not all(isinstance(value, Real) and float(value) >= 0 for inner in told for value in inner):
            raise broken(f"gave {name} that are no numbers of 0 or more: {told}")
        if phases and phases[-1] >= len(told):
            raise broken(f"drew for phase {phases[-1]}, and gave {name} for {len(told)} phases")
        phases = list(range(len(told)))
    if any(not isclose(sum(inner), 1, abs_tol=1e-6) for inner in mix.asked if any(inner)):
        raise broken(f"asked for shares that do not sum to 1: {mix.asked}")
    return phases or [0]


def _different(values: Table) -> Table:
    """The different values, sorted. Fast where equal ones mostly stand together, as phases and epochs do."""
    import numpy as np

    return np.unique(values[np.flatnonzero(np.diff(values, prepend=-1))])  # none is -1


def _counted(keys: Table) -> tuple[Table, Table]:
    """The different keys, sorted, and how often each is there. `numpy.unique` takes five times as long."""
    import numpy as np

    keys = np.sort(keys)
    starts = np.flatnonzero(np.diff(keys, prepend=-1))  # none is -1
    return keys[starts], np.diff(starts, append=len(keys))
