"""Answers requests: from the journal where it can, else from a backend, whose every answer enters the journal first."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from itertools import zip_longest
from queue import SimpleQueue
from typing import Any

from itune_core.api.asking import Reply, Request, Spent
from itune_core.api.models import ModelSource
from itune_core.api.outcomes import Failed
from itune_core.api.resources import Backend
from itune_core.engine.asking import Question
from itune_core.engine.errors import RunError
from itune_core.engine.journal import Journal
from itune_core.engine.memory import release
from itune_core.engine.questions import Entry, assemble, compute, entries, kept

Done = list[tuple[Question, Reply | Failed]]


@dataclass(frozen=True)
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


@dataclass
class _Waiting:
    """A question: the keys of its entries, in order, those without an answer, and the answers that are there."""

    keys: Sequence[str]
    missing: set[str]
    found: dict[str, Any] = field(default_factory=dict)


KEPT_OPEN = 2
"""Models that one step holds in memory at a time: one that answers and one that judges, say. An evaluator goes through
its models one after the other, and those it is done with make room."""


class Serving:
    """The opened models of one step.

    Args:
        find: the model of a name; called at its first request.
        journal: where answers are kept.
        seed: a draw's seed from (dialogue key, digest of the question, how often it was asked before, draw number).
    """

    def __init__(
        self, find: Callable[[str], Served], journal: Journal, seed: Callable[[str, str, int, int], int]
    ) -> None:
        self._find, self._journal, self._seed = find, journal, seed
        self._models: dict[str, Served] = {}
        self._loaded: list[str] = []  # weights in memory; the model asked last stands last
        self._reached: list[str] = []  # servers
        self._waiting: dict[Question, _Waiting] = {}
        self._askers: dict[str, list[Question]] = {}  # by key: who waits for that answer
        self._held: dict[tuple[str, type[Request]], list[Entry]] = defaultdict(list)  # until there is a batch
        self._sent: dict[Future[Reply | Failed], Entry] = {}
        self._done: SimpleQueue[Future[Reply | Failed]] = SimpleQueue()  # waiting on them all costs what there are
        self._failed: Counter[str] = Counter()  # by code
        self._began: float | None = None  # when the first was asked
        self.asked = self.recalled = 0

    def close(self) -> None:
        """Keep what has come in meanwhile, and close every backend that was opened."""
        self._keep([future for future in self._sent if future.done()])
        for name in (*self._loaded, *self._reached):
            self._models[name].backend.close()
        for left in (self._models, self._loaded, self._reached, self._waiting, self._askers, self._held, self._sent):
            left.clear()

    def figures(self) -> dict[str, float]:
        """How many answers came in, and a second, how many were recalled and how many failed, by code; and what the
        servers tell of themselves."""
        figures: dict[str, float] = {"answered": float(self.asked), "recalled": float(self.recalled)}
        if self._began is not None:
            figures["per_second"] = self.asked / max(time.monotonic() - self._began, 1e-9)
        figures |= {f"failed.{code}": float(count) for code, count in self._failed.items()}
        for name in self._reached:
            for figure, value in self._models[name].backend.figures().items():
                figures[figure] = figures.get(figure, 0) + value
        return figures

    def exchange(self, questions: Sequence[Question]) -> Done:
        """Take new questions, and give back some of all that are open, answered: at least one, if any is.

        What the journal knows comes at once. What a server is asked comes as it comes in. What a model in this process
        is asked is gathered until nothing else can go on, so that its batches are large.

        Raises:
            ItuneError: a backend cannot go on; what was answered until then is kept.
        """
        done = self._take(questions)
        while not done and self._waiting:
            done = self._arrived() if self._sent else self._batch()
        return done

    def _take(self, questions: Sequence[Question]) -> Done:
        """Look all of them up, and pass on what is not known. Gives back those that are answered already."""
        done: Done = []
        fresh: dict[str, Entry] = {}
        for question in questions:
            needed = list(self._entries(question))
            keys = [entry.key for entry in needed]
            self._waiting[question] = _Waiting(keys, set(keys))
            if not needed:
                done.append(self._finish(question))
            for entry in {entry.key: entry for entry in needed}.values():  # a greedy draw is asked for once
                if entry.key not in self._askers:
                    self._askers[entry.key] = []
                    fresh[entry.key] = entry
                self._askers[entry.key].append(question)
        known = self._journal.get(list(fresh))
        self.recalled += len(known)
        for key, entry in fresh.items():
            if key in known:
                done += self._deliver(key, known[key])
            else:
                self._pass_on(entry)
        return done

    def _entries(self, question: Question) -> Iterator[Entry]:
        request = question.request
        identity = self._served(request.model).identity
        return entries(
            request, identity, lambda content, draw: self._seed(question.key, content, question.repeat, draw)
        )

    def _served(self, model: str) -> Served:
        if model not in self._models:
            self._models[model] = self._find(model)
        return self._models[model]

    def _pass_on(self, entry: Entry) -> None:
        if self._began is None:
            self._began = time.monotonic()
        model, kind = entry.request.model, type(entry.request)
        served = self._served(model)
        if not served.backend.concurrent:
            self._held[model, kind].append(entry)
            return
        if model not in self._reached:
            served.backend.spent = self._journal.spent(served.identity)
            served.backend.open(served.source)
            self._reached.append(model)
        future = served.backend.submit(entry.request, entry.seed)
        self._sent[future] = entry
        future.add_done_callback(self._done.put)

    def _arrived(self) -> Done:
        """Wait for a server's next reply, and take all that are there then."""
        arrived = [self._done.get()]
        while not self._done.empty():
            arrived.append(self._done.get())
        errors = [error for future in arrived if (error := future.exception()) is not None]
        if errors:  # whatever else is under way is paid for
            wait(self._sent)
            self._keep(list(self._sent))
            raise errors[0]
        return self._keep(arrived)

    def _keep(self, arrived: Iterable[Future[Reply | Failed]]) -> Done:
        """Write replies into the journal, then hand them on. What raised an error gave none."""
        found = {self._sent.pop(future): future.result() for future in list(arrived) if future.exception() is None}
        answers = {entry: kept(reply) for entry, reply in found.items() if not isinstance(reply, Failed)}
        owed: dict[str, Spent] = {}  # two names may stand for one model
        for name in self._reached:
            served = self._models[name]
            owed[served.identity] = owed.get(served.identity, Spent()) + served.backend.charged()
        self._journal.put(
            [
                (entry.key, self._models[entry.request.model].identity, entry.question, answer)
                for entry, answer in answers.items()
            ],
            owed,
        )
        self.asked += len(answers)
        return [done for entry, reply in found.items() for done in self._deliver(entry.key, answers.get(entry, reply))]

    def _batch(self) -> Done:
        """Have a model in this process answer all that it is asked of one kind."""
        (model, kind), needed = next(iter(self._held.items()))
        del self._held[model, kind]
        served = self._load(model)
        done: Done = []
        for entry, reply in zip_longest(needed, compute(served.backend, kind, needed)):
            if entry is None or reply is None:
                raise RunError(
                    "E-RUN-020",
                    f"the backend of {model!r} gave {'fewer' if reply is None else 'more'} than {len(needed)} replies "
                    f"to {len(needed)} requests",
                )
            answer: Any = reply
            if not isinstance(reply, Failed):
                answer = kept(reply)
                self._journal.put([(entry.key, served.identity, entry.question, answer)])
                self.asked += 1
            done += self._deliver(entry.key, answer)
        return done

    def _load(self, model: str) -> Served:
        served = self._served(model)
        if model in self._loaded:
            self._loaded.remove(model)
        else:
            if len(self._loaded) == KEPT_OPEN:
                self._models[self._loaded.pop(0)].backend.close()
            release()
            served.backend.open(served.source)
        self._loaded.append(model)
        return served

    def _deliver(self, key: str, answer: Any) -> Done:
        """Give an answer to all who wait for it. Gives back the questions that now have all of theirs."""
        if isinstance(answer, Failed):
            self._failed[answer.code] += 1
        done: Done = []
        for question in self._askers.pop(key):
            waiting = self._waiting[question]
            waiting.found[key] = answer
            waiting.missing.discard(key)
            if not waiting.missing:
                done.append(self._finish(question))
        return done

    def _finish(self, question: Question) -> tuple[Question, Reply | Failed]:
        waiting = self._waiting.pop(question)
        return question, assemble(question.request, [waiting.found[key] for key in waiting.keys])
