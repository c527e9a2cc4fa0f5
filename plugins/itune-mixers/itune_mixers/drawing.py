"""Drawing by numbers: shares become counts, counts become rows drawn without replacement, epoch by epoch.

A row is named by its place: its number in the data sets laid end to end.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from itune_core.api import DataError

if TYPE_CHECKING:
    import numpy as np

    Places = np.ndarray[Any, np.dtype[np.int64]]

KEYS = 2**20
"""Random keys made at a time: `random.Random.getrandbits` takes no more than 2**31 - 1 bits."""


class Block(NamedTuple):
    """Rows drawn for one phase and one epoch of training, in training order."""

    places: Places
    phase: int = 0
    epoch: int = 0


def share_out(size: int, weights: Sequence[float | Fraction]) -> list[int]:
    """`size` whole rows in proportion to `weights`, by the method of largest remainders.

    The counts sum to `size`, and each is less than one row from its exact share; of equal remainders the earlier gets
    the row. Exact also for weights that are floats: each is taken as the fraction that it is.

    Raises:
        DataError: ``E-MIX-001`` rows are wanted and no weight is above 0.
    """
    exact = [Fraction(weight) for weight in weights]
    total = sum(exact)
    if size == 0:
        return [0] * len(exact)
    if total == 0:
        raise DataError(
            "E-MIX-001",
            f"cannot draw {size} rows: every source is empty",
            fix="look at what the steps before dropped (itune ledger), or unset size",
        )
    shares = [size * weight / total for weight in exact]
    counts = [int(share) for share in shares]
    by_remainder = sorted(range(len(shares)), key=lambda number: counts[number] - shares[number])
    for number in by_remainder[: size - sum(counts)]:
        counts[number] += 1
    return counts


def share_out_by_group(size: int, weights: Sequence[float], groups: Sequence[range]) -> list[int]:
    """As :func:`share_out`, first among groups of neighbours and then within each.

    Each group is less than one row from its exact share, which the sum of its members' counts may not be if the rows
    are shared out among all members at once; a member is less than two rows from its own.
    """
    of_groups = share_out(size, [sum(map(Fraction, weights[group.start : group.stop])) for group in groups])
    return [
        count
        for group, rows in zip(groups, of_groups, strict=True)
        for count in share_out(rows, weights[group.start : group.stop])
    ]


def permutations(times: int, count: int, rng: random.Random) -> Places:
    """`times` random orders of the numbers below `count`, one a row.

    Each number gets 64 random bits and is sorted by them, so that the orders follow from the bits of `rng` alone,
    whatever the version of Python or numpy, at a tenth of the time of ``random.shuffle``.
    """
    import numpy as np

    wanted = 8 * times * count
    pieces = [rng.randbytes(min(8 * KEYS, wanted - start)) for start in range(0, wanted, 8 * KEYS)]
    keys = np.frombuffer(b"".join(pieces), dtype="<u8").reshape(times, count)
    return keys.argsort(axis=1, kind="stable")


def shuffled(places: Places, rng: random.Random) -> Places:
    """The same places in random order."""
    return places[permutations(1, len(places), rng)[0]]


def passes(pool: Places, count: int, rng: random.Random) -> Iterator[Places]:
    """Without end, lists of `count` places from `pool`, by passes over all of it in random order.

    No place comes again before all of the pool came: over all lists, and within each, since a pass that begins within a
    list starts with the places that are in this list least often.
    """
    import numpy as np

    rows = len(pool)
    ahead = np.empty(0, np.int64)
    while True:
        taken, ahead = ahead[:count], ahead[count:]
        missing = count - len(taken)
        if missing:
            whole, rest = divmod(missing, rows)
            again = np.zeros(rows, bool)
            again[taken] = True
            last = permutations(1, rows, rng)[0] if rest else ahead
            last = last[again[last].argsort(kind="stable")]
            taken = np.concatenate([taken, permutations(whole, rows, rng).ravel(), last[:rest]])
            ahead = last[rest:]
        yield pool[taken]


def draw_epochs(
    pools: Sequence[Places], counts: Sequence[int], epochs: int, rng: random.Random, phase: int = 0
) -> list[Block]:
    """`epochs` times, `counts` places from the `pools`, shuffled; each epoch is drawn anew, by :func:`passes`."""
    import numpy as np

    streams = [passes(pool, count, rng) for pool, count in zip(pools, counts, strict=True)]
    return [
        Block(shuffled(np.concatenate([next(stream) for stream in streams]), rng), phase, epoch)
        for epoch in range(epochs)
    ]
