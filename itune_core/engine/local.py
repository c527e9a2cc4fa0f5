"""The ``local`` executor: per-row work in this process, or spread over worker processes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from typing import Any

from itune_core.api.errors import RowError
from itune_core.api.outcomes import Failed

CHUNK = 256
"""Items sent to a worker at a time."""


@dataclass(frozen=True)
class Guard:
    """A function whose :class:`RowError` becomes :class:`Failed`; pickles when the function does."""

    function: Callable[[Any], Any]

    def __call__(self, items: list[Any]) -> list[Any]:
        return [self.one(item) for item in items]

    def one(self, item: Any) -> Any:
        try:
            return self.function(item)
        except RowError as error:
            return Failed.of(error)


def map_local(function: Callable[[Any], Any], items: Iterable[Any], workers: int, chunk: int = CHUNK) -> Iterator[Any]:
    """`function` of every item, in order.

    Args:
        function: must pickle if there are several workers.
        items: consumed no faster than results are taken.
        workers: processes; 1 works in this process.
        chunk: items sent to a worker at a time.
    """
    guard = Guard(function)
    if workers <= 1:
        yield from map(guard.one, items)
        return
    queue = iter(items)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        waiting: deque[Future[list[Any]]] = deque()
        while part := list(islice(queue, chunk)):
            waiting.append(pool.submit(guard, part))
            if len(waiting) > 2 * workers:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
