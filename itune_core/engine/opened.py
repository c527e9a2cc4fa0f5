"""The models that a step asks: found by name, shared by those that are one, opened when they are first needed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from itune_core.api.asking import Spent
from itune_core.api.models import ModelSource
from itune_core.api.resources import Backend
from itune_core.engine.errors import RunError
from itune_core.engine.memory import release

KEPT_OPEN = 2
"""Models that one step holds in memory at a time: one that answers and one that judges, say. An evaluator goes through
its models one after the other, and those it is done with make room."""


@dataclass(frozen=True, eq=False)
class Served:
    """A model that can be asked.

    Attributes:
        backend: with its settled config, not yet open.
        source: where its weights are; None for a served one.
        identity: of model and settings, as it stands in journal keys.
    """

    backend: Backend
    source: ModelSource | None
    identity: str


class Opened:
    """The models of one step. Names that stand for one model share it, and its budget.

    Args:
        find: the model of a name; called when it is first needed.

    Attributes:
        servers: those that were reached, in that order.
    """

    def __init__(self, find: Callable[[str], Served]) -> None:
        self._find = find
        self._named: dict[str, Served] = {}
        self._loaded: list[Served] = []  # weights in memory; the model asked last stands last
        self.servers: list[Served] = []

    def named(self, name: str) -> Served:
        """The model of a name, open or not.

        Raises:
            RunError: ``E-RUN-022`` a server is to be asked in two ways, within two budgets perhaps.
        """
        if name not in self._named:
            found = self._find(name)
            same = [other for other, served in self._named.items() if served.identity == found.identity]
            self._named[name] = self._shared(same[0], name, found) if same else found
        return self._named[name]

    def _shared(self, first: str, name: str, found: Served) -> Served:
        """What two names of one model share: the backend of the one that was asked first."""
        served = self._named[first]
        one, other = served.backend.config, found.backend.config
        if served.backend.concurrent and one != other:
            differ = [each for each in type(one).model_fields if getattr(one, each) != getattr(other, each)]
            raise RunError(
                "E-RUN-022",
                f"the models {first!r} and {name!r} are one, and are to be asked in two ways: {', '.join(differ)}",
                why="they have the same answers and one account, so within a step the same settings hold for both",
                fix="name one of them in both places, or write the same settings under both",
            )
        return served

    def reach(self, served: Served, spent: Callable[[str], Spent]) -> None:
        """See that a server can be asked; it is told what was `spent` on its identity in earlier runs."""
        if served not in self.servers:
            served.backend.spent = spent(served.identity)
            served.backend.open(served.source)
            self.servers.append(served)

    def load(self, served: Served) -> None:
        """See that a model of this process is in memory."""
        if served in self._loaded:
            self._loaded.remove(served)
        else:
            if len(self._loaded) == KEPT_OPEN:
                self._loaded.pop(0).backend.close()
            release()
            served.backend.open(served.source)
        self._loaded.append(served)

    def close(self) -> None:
        """Close every backend that is open, each even if another one's closing fails."""
        with ExitStack() as left:
            for served in (*self._loaded, *self.servers):
                left.callback(served.backend.close)
        for gone in (self._named, self._loaded, self.servers):
            gone.clear()
