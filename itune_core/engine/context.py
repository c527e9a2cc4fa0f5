"""The engine's side of :class:`itune_core.api.Context`: what one executing step is handed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from itune_core.api.asking import Reply, Request
from itune_core.api.context import Finished
from itune_core.api.models import ModelSource
from itune_core.api.outcomes import Failed, Rule
from itune_core.api.randomness import derive_rng
from itune_core.engine import digest
from itune_core.engine.asking import Answered, Question, drive

EVERY = 0.5
"""Seconds between reports of a step that asks models: a server may answer hundreds of times a second."""

Mapper = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]
"""An executor: function and items to results, in order."""


class Answering(Protocol):
    """Who answers a step's questions."""

    def exchange(self, questions: Sequence[Question]) -> Answered:
        """As :data:`~itune_core.engine.asking.Exchange`."""

    def figures(self) -> Mapping[str, float]:
        """What there is to tell of it, by name."""


class StepContext:
    """One executing step's context.

    Args:
        scratch: the step's folder.
        seed: the step's seed.
        component: label of the component, ``trainers/dpo``.
        code: its code identity; enters the keys of shared parts.
        models: a model's source by name.
        rules: a fitted rule by the name of the step that left it.
        functions: a function by what a setting calls it.
        serving: answers requests.
        mapper: the executor.
        part: the store's shared parts: (key, make) to folder.
        report: called with (done, total, figures).
    """

    def __init__(
        self,
        *,
        scratch: Path,
        seed: int,
        component: str,
        code: str,
        models: Callable[[str], ModelSource],
        rules: Callable[[str], Rule],
        functions: Callable[[str], Callable[..., Any]],
        serving: Answering,
        mapper: Mapper,
        part: Callable[[str, Callable[[Path], None]], Path],
        report: Callable[[int, int | None, Mapping[str, float]], None],
    ) -> None:
        self._scratch, self._seed, self._component, self._code = scratch, seed, component, code
        self._models, self._rules, self._functions, self._serving = models, rules, functions, serving
        self._mapper, self._part, self._report = mapper, part, report

    @property
    def scratch(self) -> Path:
        return self._scratch

    def rng(self, *parts: str | int) -> random.Random:
        return derive_rng(self._seed, self._component, *parts)

    def model(self, name: str) -> ModelSource:
        return self._models(name)

    def rule(self, name: str) -> Rule:
        return self._rules(name)

    def function(self, value: str) -> Callable[..., Any]:
        return self._functions(value)

    def converse(
        self, dialogues: Iterable[tuple[str, Generator[Any, Any, Any]]], total: int | None = None
    ) -> Iterator[Finished]:
        done, said = 0, 0.0

        def exchange(questions: Sequence[Question]) -> Answered:
            nonlocal said
            if time.monotonic() - said >= EVERY:
                said = time.monotonic()
                self._report(done, total, self._serving.figures())
            return self._serving.exchange(questions)

        for finished in drive(dialogues, exchange):
            done += 1
            yield finished
        self._report(done, total, self._serving.figures())

    def answer(self, requests: Iterable[tuple[str, Request]]) -> Iterator[Reply | Failed]:
        return (finished.result for finished in self.converse((key, _once(request)) for key, request in requests))

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        for number, result in enumerate(self._mapper(function, items), start=1):
            if number % 100 == 0:
                self._report(number, None, {})
            yield result

    def artifact(self, key: Mapping[str, Any], make: Callable[[Path], None]) -> Path:
        # not the component's name: all objectives of a distribution share reference log-probabilities
        return self._part(digest.of_value([self._code, key]), make)

    def progress(self, done: int, total: int | None = None, **figures: float) -> None:
        self._report(done, total, figures)


def _once(request: Request) -> Generator[Request, Reply, Reply]:
    return (yield request)
