"""Which sets of numbers may be alike: MinHash with locality-sensitive hashing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from itune_filters.likeness.shingles import mixed

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Numbers = npt.NDArray[np.uint64]

PERMUTATIONS = 128
MISSED = 0.01
"""Most of the pairs exactly at the threshold that may be missed, in expectation; above it fewer are."""

_BLOCK = 1 << 15
"""Numbers hashed at a time: what a processor's second cache holds."""


class Bands(NamedTuple):
    """A signature cut into `number` bands of `rows` values; sets that agree in a band are candidates."""

    number: int
    rows: int

    def probability(self, jaccard: float) -> float:
        """That two sets of this similarity are candidates."""
        return float(1 - (1 - jaccard**self.rows) ** self.number)


def bands_for(threshold: float) -> Bands:
    """The bands of a signature of :data:`PERMUTATIONS` values for pairs at `threshold`: as long as they may be, so that
    few other pairs are candidates, while at most :data:`MISSED` of the pairs at the threshold are none."""
    for rows in range(PERMUTATIONS, 1, -1):
        bands = Bands(PERMUTATIONS // rows, rows)
        if bands.probability(threshold) >= 1 - MISSED:
            return bands
    return Bands(PERMUTATIONS, 1)


def band_keys(sets: Sequence[Numbers], bands: Bands) -> Numbers:
    """A key for each band of each set, one set a row: two sets agree in a band if they have the same key there.

    Args:
        sets: numbers, well mixed; none empty, repeats count once.
        bands: how signatures are cut.
    """
    import numpy as np

    keys = np.empty((len(sets), bands.number), np.uint64)
    count = bands.number * bands.rows
    drawn = mixed(np.arange(1, 2 * count + 1, dtype=np.uint64)) >> np.uint64(32)
    # Multiplying by an odd number and adding another permutes the numbers of 32 bits.
    factors, terms = drawn[:count].astype(np.uint32) | np.uint32(1), drawn[count:].astype(np.uint32)
    for first, last in _blocks([len(numbers) for numbers in sets]):
        block = sets[first:last]
        starts = np.fromiter(accumulate([0, *map(len, block[:-1])]), np.intp, len(block))
        numbers = (np.concatenate(block) >> np.uint64(32)).astype(np.uint32)
        permuted = np.empty_like(numbers)
        least = np.empty((count, len(block)), np.uint32)
        for place in range(count):
            np.multiply(numbers, factors[place], out=permuted)
            np.add(permuted, terms[place], out=permuted)
            np.minimum.reduceat(permuted, starts, out=least[place])
        band = np.zeros((bands.number, len(block)), np.uint64)
        for row in range(bands.rows):
            band = mixed(band + least[row :: bands.rows])
        keys[first:last] = band.T
    return keys


def colliding(keys: Numbers) -> npt.NDArray[np.bool_]:
    """Which keys another set has in the same band."""
    import numpy as np

    found = np.zeros(keys.shape, bool)
    for band in range(keys.shape[1]):
        order = np.argsort(keys[:, band])
        same = np.diff(keys[order, band]) == 0
        found[order[1:][same], band] = True
        found[order[:-1][same], band] = True
    return found


def _blocks(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Runs of sets, each of about :data:`_BLOCK` numbers: first, and one after the last."""
    first = total = 0
    for place, size in enumerate(sizes):
        total += size
        if total >= _BLOCK:
            yield first, place + 1
            first, total = place + 1, 0
    if first < len(sizes):
        yield first, len(sizes)
