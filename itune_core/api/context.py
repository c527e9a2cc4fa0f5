"""What a step is handed: the engine's side of the contract, as a protocol of few members."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from itune_core.api.asking import Reply, Request
from itune_core.api.models import ModelSource
from itune_core.api.outcomes import Failed, Rule

Item = TypeVar("Item")
Result = TypeVar("Result")


class Finished(NamedTuple):
    """A dialogue that ran to its end.

    Attributes:
        key: the key it was handed in with.
        made: whatever it yielded that is not a request, in order.
        result: its return value, or the failure that ended it.
    """

    key: str
    made: list[Any]
    result: Any | Failed


class Context(Protocol):
    """The engine as one executing step sees it."""

    @property
    def scratch(self) -> Path:
        """A folder of this step's own, the only place it may write. It outlives a killed run of the same artifact key
        (checkpoints go here) and is removed once the artifact is published."""

    def rng(self, *parts: str | int) -> random.Random:
        """A generator seeded by (step seed, component, `parts`): same parts, same numbers, whatever the order, batch or
        worker. Pass what names the draw: a record id, a draw number."""

    def model(self, name: str) -> ModelSource:
        """Where the weights of the model or training step `name` are, fetched if they were not.

        Raises:
            ModelError: it is served by somebody else and has no weights here, or cannot be had (offline).
        """

    def rule(self, name: str) -> Rule:
        """The rule that the step `name` left; named by a ``StepRef`` setting.

        Raises:
            ItuneError: ``E-RUN-021`` that step left none.
        """

    def function(self, value: str) -> Callable[..., Any]:
        """The function that a ``Function`` setting names, imported; the project has let its distribution in."""

    def converse(
        self, dialogues: Iterable[tuple[str, Generator[Any, Any, Any]]], total: int | None = None
    ) -> Iterator[Finished]:
        """Run dialogues (generators that yield requests and receive replies) and give each back, in order, finished.

        Many are open at a time, so that a batch holds the requests of all, and a server has many to work on; each reply
        is kept in the journal before it is handed on. A ``RowError`` inside a dialogue ends that one as failed.

        Args:
            dialogues: key and generator.
            total: how many there are, if that is known: shown to whoever waits.
        """

    def answer(self, requests: Iterable[tuple[str, Request]]) -> Iterator[Reply | Failed]:
        """The plain form of :meth:`converse`: answer requests of their own, ``(key, request)``, in order."""

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result | Failed]:
        """`function` of every item, in order, by the run's executor (this process, other processes, a cluster).

        `function` and the items must pickle. A ``RowError`` becomes :class:`Failed` in its place.
        """

    def artifact(self, key: Mapping[str, Any], make: Callable[[Path], None]) -> Path:
        """A folder keyed by content and shared by all steps, runs and variants: reference log-probabilities, say.

        `key` (JSON values) must name what the content is and everything it depends on; the code of the component's
        distribution is added, so components of one distribution share. `make` fills an empty folder; it is called once,
        also when two runs ask at the same time.
        """

    def progress(self, done: int, total: int | None = None, **figures: float) -> None:
        """Say how far the work is; shown to a person and written to the run's events."""


class Facts(Protocol):
    """What was measured on this machine, once: how a component settles its ``auto`` settings."""

    def get(self, name: str, measure: Callable[[], Any]) -> Any:
        """The fact `name` (a JSON value); `measure` is called only where no run on this machine has measured it."""
