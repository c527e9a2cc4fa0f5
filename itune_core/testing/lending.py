"""A bench that lends records: it notices what a component does to them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterable, Iterator
from copy import deepcopy
from typing import Any

from itune_core.api.context import Finished
from itune_core.api.reading import Row
from itune_core.api.records import Record
from itune_core.engine.local import map_local
from itune_core.testing.context import BenchContext

CHUNK = 3
"""Rows sent to a worker at a time: few, so that each worker gets some."""


class LendingContext(BenchContext):
    """A bench for the kit.

    Attributes:
        workers: processes that :meth:`map` works in; 1: this one.
        mapped: whether :meth:`map` was called.
        changed: which records came back otherwise than they were lent, and where.
    """

    def __init__(self, *args: Any, workers: int = 1, **rest: Any) -> None:
        super().__init__(*args, **rest)
        self.workers = workers
        self.mapped = False
        self.changed: list[str] = []

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        self.mapped = True
        if self.workers > 1:
            return map_local(function, items, self.workers, chunk=CHUNK)
        return super().map(lambda item: self._lend(function, item), items)

    def converse(self, dialogues: Iterable[tuple[str, Generator[Any, Any, Any]]]) -> Iterator[Finished]:
        return super().converse((key, self._lend_to(dialogue)) for key, dialogue in dialogues)

    def _lend(self, function: Callable[[Any], Any], item: Any) -> Any:
        lent = [item] if isinstance(item, (Record, Row)) else []
        before = [deepcopy(one._values) for one in lent]
        result = function(item)
        self._look(lent, before)
        return result

    def _lend_to(self, dialogue: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """A dialogue's records are the arguments that its generator was made with."""
        arguments = inspect.getgeneratorlocals(dialogue).values() if inspect.isgenerator(dialogue) else ()
        lent = [value for value in arguments if isinstance(value, Record)]
        before = [deepcopy(dict(one._values)) for one in lent]
        result = yield from dialogue
        self._look(lent, before)
        return result

    def _look(self, lent: list[Any], before: list[Any]) -> None:
        for one, was in zip(lent, before, strict=True):
            changed = [column for column in {**was, **one._values} if one._values.get(column) != was.get(column)]
            if changed:
                self.changed.append(f"{', '.join(sorted(changed))} of {one!r}")
