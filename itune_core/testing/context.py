"""A context without an engine: runs one component on a test bench, in this process."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from itune_core.api.asking import Reply, Request
from itune_core.api.context import Finished
from itune_core.api.errors import ModelError, RowError
from itune_core.api.models import ModelSource
from itune_core.api.outcomes import Failed, Rule
from itune_core.api.randomness import derive_rng
from itune_core.engine.asking import at_once, drive
from itune_core.engine.errors import RunError
from itune_core.plugins import functions
from itune_core.plugins.policy import Policy

Item = TypeVar("Item")
Result = TypeVar("Result")


class BenchContext:
    """A :class:`~itune_core.api.context.Context` for tests of one component.

    Args:
        folder: where scratch and artifacts go.
        reply: answers a request; needed only by components that ask.
        models: model sources by name; needed only by components that load weights.
        rules: fitted rules by the name of a step; needed only by components that apply one.
        seed: the step seed.
    """

    def __init__(
        self,
        folder: Path,
        *,
        reply: Callable[[Request], Reply | Failed] | None = None,
        models: Mapping[str, ModelSource] | None = None,
        rules: Mapping[str, Rule] | None = None,
        seed: int = 0,
    ) -> None:
        self.folder, self.reply, self.models, self.rules, self.seed = folder, reply, models or {}, rules or {}, seed
        self.reported: list[tuple[int, int | None, dict[str, float]]] = []

    @property
    def scratch(self) -> Path:
        path = self.folder / "scratch"
        path.mkdir(parents=True, exist_ok=True)
        return path

    def rng(self, *parts: str | int) -> random.Random:
        return derive_rng(self.seed, *parts)

    def model(self, name: str) -> ModelSource:
        if name not in self.models:
            raise ModelError("E-MODEL-001", f"the test bench has no model {name!r}", fix="pass models={name: source}")
        return self.models[name]

    def rule(self, name: str) -> Rule:
        if name not in self.rules:
            raise RunError("E-RUN-021", f"the test bench has no rule {name!r}", fix="pass rules={name: Rule(...)}")
        return self.rules[name]

    def function(self, value: str) -> Callable[..., Any]:
        return functions.load(value, Policy.of([functions.find(value).distribution]))

    def converse(
        self, dialogues: Iterable[tuple[str, Generator[Any, Any, Any]]], total: int | None = None
    ) -> Iterator[Finished]:
        return drive(dialogues, at_once(lambda asked: [self._reply(question.request) for question in asked]))

    def answer(self, requests: Iterable[tuple[str, Request]]) -> Iterator[Reply | Failed]:
        return (self._reply(request) for _, request in requests)

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result | Failed]:
        for item in items:
            try:
                yield function(item)
            except RowError as error:
                yield Failed.of(error)

    def artifact(self, key: Mapping[str, Any], make: Callable[[Path], None]) -> Path:
        name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
        path = self.folder / "artifacts" / name
        if not path.exists():
            path.mkdir(parents=True)
            make(path)
        return path

    def progress(self, done: int, total: int | None = None, **figures: float) -> None:
        self.reported.append((done, total, figures))

    def _reply(self, request: Request) -> Reply | Failed:
        if self.reply is None:
            raise ModelError("E-MODEL-002", "the test bench cannot answer a model", fix="pass reply=function")
        return self.reply(request)
