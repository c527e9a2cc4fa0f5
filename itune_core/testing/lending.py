"""A bench that lends records: it notices what a component does to them."""

from __future__ import annotations

import inspect
import json
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from copy import deepcopy
from typing import Any

from itune_core.api.asking import Reply, Request
from itune_core.api.context import Finished
from itune_core.api.outcomes import Failed
from itune_core.api.reading import Row
from itune_core.api.records import Record
from itune_core.engine.asking import at_once, drive
from itune_core.engine.local import map_local
from itune_core.testing.comparing import plain
from itune_core.testing.context import BenchContext

CHUNK = 3
"""Rows sent to a worker at a time: few, so that each worker gets some."""


class LendingContext(BenchContext):
    """A bench for the kit.

    Attributes:
        workers: processes that :meth:`map` works in; 1: this one.
        mapped: whether :meth:`map` was called.
        changed: which records came back otherwise than they were lent, and where.
        replies: what was said to each request, by the request as text.
        asked: how many requests each key made.
        refused: the key and the number of the request that is answered with a failure; None: all are answered.
    """

    def __init__(self, *args: Any, workers: int = 1, refused: tuple[str, int] | None = None, **rest: Any) -> None:
        super().__init__(*args, **rest)
        self.workers, self.refused = workers, refused
        self.replies: dict[str, Reply | Failed] = {}
        self.asked: Counter[str] = Counter()
        self.mapped = False
        self.changed: list[str] = []

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        self.mapped = True
        if self.workers > 1:
            return map_local(function, items, self.workers, chunk=CHUNK)
        return super().map(lambda item: self._lend(function, item), items)

    def converse(
        self, dialogues: Iterable[tuple[str, Generator[Any, Any, Any]]], total: int | None = None
    ) -> Iterator[Finished]:
        lent = ((key, self._lend_to(dialogue)) for key, dialogue in dialogues)
        return drive(
            lent, at_once(lambda asked: [self._answered(question.key, question.request) for question in asked])
        )

    def answer(self, requests: Iterable[tuple[str, Request]]) -> Iterator[Reply | Failed]:
        return (self._answered(key, request) for key, request in requests)

    def _answered(self, key: str, request: Request) -> Reply | Failed:
        number, self.asked[key] = self.asked[key], self.asked[key] + 1
        if self.refused == (key, number):
            return Failed("E-KIT-003", "the conformance kit refused to answer")
        reply = self._reply(request)
        self.replies[spelt(request)] = reply
        return reply

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


def spelt(request: Request) -> str:
    """A request as text; equal requests are spelt alike."""
    return json.dumps(plain(request), sort_keys=True, ensure_ascii=False)
