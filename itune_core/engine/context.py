"""The engine's side of :class:`itune_core.api.Context`: what one executing step is handed."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from itune_core.api.asking import Reply, Request
from itune_core.api.context import Finished
from itune_core.api.models import ModelSource
from itune_core.api.outcomes import Failed, Rule
from itune_core.api.randomness import derive_rng
from itune_core.engine import digest
from itune_core.engine.asking import drive
from itune_core.engine.serving import Serving

Mapper = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]
"""An executor: function and items to results, in order."""


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
        serving: Serving,
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

    def converse(self, dialogues: Iterable[tuple[str, Generator[Any, Any, Any]]]) -> Iterator[Finished]:
        for number, finished in enumerate(drive(dialogues, self._serving.answer), start=1):
            self._report(number, None, {})
            yield finished

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
