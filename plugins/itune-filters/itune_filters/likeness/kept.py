"""Vectors, of which those are kept that are not too similar to one kept before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    Matrix = np.ndarray[Any, np.dtype[np.float32]]

PART = 4096
"""Kept vectors that are compared at a time; a few more where a block does not end there."""

DOUBT = 1e-5
"""A cosine in float32 that is so near to the threshold is computed again in float64: which vectors are kept must not
depend on how the work was cut into blocks."""


class Neighbour(NamedTuple):
    """The most similar vector that was kept before, by its number in the order of keeping, and its cosine."""

    number: int
    cosine: float


class Kept:
    """What was kept so far.

    Vectors are offered in blocks and decided one after the other, as a loop over single vectors would: one matrix
    product compares a block with all that were kept, so that the processor is busy and no matrix is copied for each.

    Args:
        threshold: the largest cosine to a kept vector with which another is kept.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._parts: list[Matrix] = []
        self._count = 0

    def offer(self, vectors: Matrix) -> list[Neighbour | None]:
        """Decide on more vectors.

        Args:
            vectors: of length 1, one a row.

        Returns:
            For each, None where it is kept, otherwise what it is too similar to.
        """
        import numpy as np

        numbers, cosines = self._nearest(vectors)
        exact = vectors.astype(np.float64)
        among = exact @ exact.T
        taken: list[int] = []
        verdicts: list[Neighbour | None] = []
        for row in range(len(vectors)):
            if taken:
                of_block = among[row, taken]
                place = int(of_block.argmax())
                if of_block[place] > cosines[row]:
                    numbers[row], cosines[row] = self._count + place, of_block[place]
            if cosines[row] > self._threshold:
                verdicts.append(Neighbour(int(numbers[row]), float(cosines[row])))
            else:
                taken.append(row)
                verdicts.append(None)
        self._keep(vectors[taken])
        return verdicts

    def _nearest(self, vectors: Matrix) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """The number of the most similar kept vector, and its cosine, for each."""
        import numpy as np

        numbers = np.full(len(vectors), -1)
        cosines = np.full(len(vectors), -np.inf)
        rows = np.arange(len(vectors))
        start = 0
        for part in self._parts:
            found = vectors @ part.T
            places = found.argmax(axis=1)
            values = found[rows, places].astype(np.float64)
            for row in np.flatnonzero(np.abs(values - self._threshold) < DOUBT):
                again = part.astype(np.float64) @ vectors[row]
                places[row], values[row] = again.argmax(), again.max()
            nearer = values > cosines
            numbers[nearer], cosines[nearer] = start + places[nearer], values[nearer]
            start += len(part)
        return numbers, cosines

    def _keep(self, vectors: Matrix) -> None:
        import numpy as np

        self._count += len(vectors)
        if self._parts and len(self._parts[-1]) < PART:
            self._parts[-1] = np.concatenate([self._parts[-1], vectors])
        elif len(vectors):
            self._parts.append(vectors)
