"""Examples-proportional mixing: large sources give more, but none more than its cap allows."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence

from pydantic import Field

from itune_core.api import ComponentConfig, DataError, Drawn, Mixer


class Proportional(Mixer):
    r"""Draw from each source in proportion to its size, as if none were larger than `cap`.

    With :math:`e_m` rows in source :math:`m` and the cap :math:`K`, source :math:`m` is drawn from at the rate

    .. math:: r_m = \frac{\min(e_m, K)}{\sum_n \min(e_n, K)}

    An epoch has `size` rows; source :math:`m` gives :math:`size \cdot r_m` of them, rounded by the method of largest
    remainders: the counts sum to `size` and each is less than one row from its exact share.

    A source is drawn from without replacement: no row comes again before all of its source came, over all epochs, and
    within an epoch no row comes again before all of its source came in that epoch. The rows of an epoch are shuffled.

    Source: T5, arXiv:1910.10683, section 3.5.2 (the formula); FLAN, arXiv:2109.01652 (K = 3000).
    """

    class Config(ComponentConfig):
        cap: int | None = Field(None, ge=1, description="K: the most rows a source counts for; unset: no cap.")
        size: int | None = Field(
            None, ge=1, description="Rows to draw for an epoch; unset: as many as the sources count for, capped."
        )
        epochs: int = Field(1, ge=1, description="How many times to draw; each epoch is drawn and shuffled anew.")

    def draw(self, sizes: Sequence[int], rng: random.Random) -> Iterator[Drawn]:
        """The draws of all epochs, one epoch after the other.

        Raises:
            DataError: ``E-MIX-001`` rows are wanted and every source is empty.
        """
        counts = allocate(sizes, self.config.cap, self.config.size)
        sources = [passes(rows, count, rng) for rows, count in zip(sizes, counts, strict=True)]
        for epoch in range(self.config.epochs):
            drawn = [Drawn(number, row, epoch=epoch) for number, source in enumerate(sources) for row in next(source)]
            rng.shuffle(drawn)
            yield from drawn


def allocate(sizes: Sequence[int], cap: int | None, size: int | None) -> list[int]:
    """How many rows each source gives to an epoch; equal remainders go to the earlier source.

    Raises:
        DataError: ``E-MIX-001`` `size` is set and every source is empty.
    """
    weights = [rows if cap is None else min(rows, cap) for rows in sizes]
    total = sum(weights)
    if size is None:
        return weights
    if total == 0:
        raise DataError(
            "E-MIX-001",
            f"cannot draw {size} rows: every source is empty",
            fix="look at what the steps before dropped (itune ledger), or unset size",
        )
    counts = [size * weight // total for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda number: -(size * weights[number] % total))
    for number in by_remainder[: size - sum(counts)]:
        counts[number] += 1
    return counts


def passes(rows: int, count: int, rng: random.Random) -> Iterator[list[int]]:
    """Without end, `count` of the row numbers below `rows`, by passes over all of them in random order.

    A pass that begins within a list starts with the rows that are in this list least often.
    """
    ahead: list[int] = []
    while True:
        drawn: Counter[int] = Counter()
        taken: list[int] = []
        while len(taken) < count:
            if not ahead:
                ahead = rng.sample(range(rows), rows)
                ahead.sort(key=drawn.__getitem__, reverse=True)  # pop() takes from the end
            row = ahead.pop()
            drawn[row] += 1
            taken.append(row)
        yield taken
