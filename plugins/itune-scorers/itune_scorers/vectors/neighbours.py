"""How far the nearest neighbours of vectors are."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from itune_core.api import PluginError

if TYPE_CHECKING:
    import numpy as np

    Matrix = np.ndarray[Any, np.dtype[np.float32]]
    Numbers = np.ndarray[Any, np.dtype[np.int64]]
    Distances = np.ndarray[Any, np.dtype[np.float64]]
    Search = Callable[[Numbers, int], Numbers]

EXACT_ROWS = 50_000
"""Up to so many, all pairs are compared; the work grows with the square of their number."""

SPARE = 8
"""Candidates beyond the one that is asked for: float32 may put neighbours in another order that are all but equally
far, and does so among near-duplicates."""

CELLS = 2**22
"""Most cosines, or coordinates of candidates, that are held at a time: 16 and 32 MB."""

LINKS, BUILDING, SEARCHING = 32, 80, 128
"""Of FAISS's graph: links of a vector, and candidates that are kept while it is built and searched. For 52,002
instructions of Alpaca it misses 1.9 % of the sixth neighbours, and their mean distance comes out larger by 0.02 %."""


def need_faiss(rows: int) -> None:
    """Say that so many rows need FAISS where it is not installed.

    Raises:
        PluginError: ``E-SCORE-042``.
    """
    if rows > EXACT_ROWS and find_spec("faiss") is None:
        raise PluginError(
            "E-SCORE-042",
            f"more than {EXACT_ROWS} rows are searched with FAISS, which is not installed",
            why=f"there are {rows}",
            fix="pip install 'itune-scorers[faiss]', or take a part of the rows with filters/sample",
        )


def nth_distances(vectors: Matrix, nth: int) -> Distances:
    """The Euclidean distance from each vector to its nth nearest of the others; one that is equal is a neighbour at 0.

    Up to :data:`EXACT_ROWS` vectors, all pairs are compared. Beyond, FAISS walks a graph of neighbours, so that one may
    be missed and the distance to a later one given.

    Args:
        vectors: of length 1, one a row; more than `nth`.
        nth: counts from 1.
    """
    import numpy as np

    count, dimension = vectors.shape
    every = _compare(vectors)
    search = every if count <= EXACT_ROWS else _index(vectors)
    candidates = min(nth + SPARE, count - 1)
    step = max(1, CELLS // max(count, candidates * dimension))
    found = np.empty(count)
    for start in range(0, count, step):
        own = np.arange(start, min(start + step, count))
        found[own] = _nth(vectors, own, search(own, candidates), nth)
        missed = own[np.isinf(found[own])]  # parts of the graph may be out of reach
        if len(missed):
            found[missed] = _nth(vectors, missed, every(missed, candidates), nth)
    return found


def _nth(vectors: Matrix, own: Numbers, near: Numbers, nth: int) -> Distances:
    """The nth smallest distance from each of `own` to its row of `near`, from the coordinates and in float64: from a
    float32 cosine, duplicates would seem 3e-4 apart. Infinite where there are not so many."""
    import numpy as np

    apart = vectors[near].astype(np.float64) - vectors[own, None]
    distances = np.sqrt(np.square(apart, out=apart).sum(axis=2))
    distances[(near == own[:, None]) | (near < 0)] = np.inf
    return np.partition(distances, nth - 1)[:, nth - 1]


def _compare(vectors: Matrix) -> Search:
    """All pairs: of unit vectors the nearest have the largest cosine."""
    import numpy as np

    def search(own: Numbers, candidates: int) -> Numbers:
        cosines = vectors[own] @ vectors.T
        cosines[np.arange(len(own)), own] = -np.inf
        return np.argpartition(cosines, -candidates)[:, -candidates:]

    return search


def _index(vectors: Matrix) -> Search:
    """A hierarchical navigable small world, arXiv:1603.09320; -1 where it finds too few. It is built in one thread:
    several would leave another graph each time."""
    import faiss

    index = faiss.IndexHNSWFlat(vectors.shape[1], LINKS)
    index.hnsw.efConstruction, index.hnsw.efSearch = BUILDING, SEARCHING
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        index.add(vectors)
    finally:
        faiss.omp_set_num_threads(threads)

    def search(own: Numbers, candidates: int) -> Numbers:
        near: Numbers = index.search(vectors[own], candidates + 1)[1]  # the vector itself is among them
        return near

    return search
