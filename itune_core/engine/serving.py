"""Answers requests: from the journal where it can, else from a backend, whose every answer enters the journal first."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field
from itertools import zip_longest
from queue import Empty, SimpleQueue
from typing import Any

from itune_core.api.asking import Reply, Request, Spent
from itune_core.api.outcomes import Failed
from itune_core.engine.asking import Question
from itune_core.engine.errors import RunError
from itune_core.engine.journal import Journal
from itune_core.engine.opened import Opened, Served
from itune_core.engine.questions import Entry, assemble, compute, entries, kept

Done = list[tuple[Question, Reply | Failed]]


@dataclass
class _Waiting:
    """A question: the keys of its entries, in order, those without an answer, and the answers that are there."""

    keys: Sequence[str]
    missing: set[str]
    found: dict[str, Any] = field(default_factory=dict)


BRIEF = 0.5
"""Seconds without an answer after which who waits for the end of a step is told what it is waiting for."""


class Serving:
    """What one step asks of models.

    Args:
        find: the model of a name; called at its first request.
        journal: where answers are kept.
        seed: a draw's seed from (dialogue key, digest of the question, how often it was asked before, draw number).
        say: called with a sentence for a person who waits.
    """

    def __init__(
        self,
        find: Callable[[str], Served],
        journal: Journal,
        seed: Callable[[str, str, int, int], int],
        say: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self._models, self._journal, self._seed, self._say = Opened(find), journal, seed, say
        self._waiting: dict[Question, _Waiting] = {}
        self._askers: dict[str, list[Question]] = {}  # by key: who waits for that answer
        self._held: dict[tuple[Served, type[Request]], list[Entry]] = defaultdict(list)  # until there is a batch
        self._sent: dict[Future[Reply | Failed], Entry] = {}  # until what came of it is in the journal
        self._done: SimpleQueue[Future[Reply | Failed]] = SimpleQueue()  # waiting on them all costs what there are
        self._owed: dict[str, Spent] = {}  # by identity: what is not in the journal yet
        self._failed: Counter[str] = Counter()  # by code
        self._began: float | None = None  # when the first was asked
        self.asked = self.recalled = 0

    def close(self) -> None:
        """End, however the step ended: wait for the answers to what was sent, keep them, and close every backend.

        Who is interrupted while this waits has what came in until then.
        """
        with closing(self._models):
            try:
                self._await_sent()
            finally:
                self._write([future for future in self._sent if future.done()])
        for left in (self._waiting, self._askers, self._held, self._sent):
            left.clear()

    def _await_sent(self) -> None:
        """Have servers send nothing more, and wait until what they were sent came to something."""
        if self._unanswered():
            for served in self._models.servers:
                served.backend.drain()
        said = False
        while left := self._unanswered():
            try:
                self._done.get(timeout=BRIEF)  # and look again, should a callback be missing
            except Empty:
                if not said:
                    self._say(
                        f"waiting for answers on their way, to keep what is paid for: {left}; Ctrl-C ends at once"
                    )
                said = True

    def _unanswered(self) -> int:
        return sum(not future.done() for future in self._sent)

    def figures(self) -> dict[str, float]:
        """How many answers came in, and a second, how many were recalled and how many failed, by code; and what the
        servers tell of themselves."""
        figures: dict[str, float] = {"answered": float(self.asked), "recalled": float(self.recalled)}
        if self._began is not None:
            figures["per_second"] = self.asked / max(time.monotonic() - self._began, 1e-9)
        figures |= {f"failed.{code}": float(count) for code, count in self._failed.items()}
        for served in self._models.servers:
            for figure, value in served.backend.figures().items():
                figures[figure] = figures.get(figure, 0) + value
        return figures

    def exchange(self, questions: Sequence[Question]) -> Done:
        """Take new questions, and give back some of all that are open, answered: at least one, if any is.

        What the journal knows comes at once. What a server is asked comes as it comes in. What a model in this process
        is asked is gathered until nothing else can go on, so that its batches are large.

        Raises:
            ItuneError: a backend cannot go on; :meth:`close` keeps what others are still waited for.
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
        identity = self._models.named(request.model).identity
        return entries(
            request, identity, lambda content, draw: self._seed(question.key, content, question.repeat, draw)
        )

    def _pass_on(self, entry: Entry) -> None:
        if self._began is None:
            self._began = time.monotonic()
        served = self._models.named(entry.request.model)
        if not served.backend.concurrent:
            self._held[served, type(entry.request)].append(entry)
            return
        self._models.reach(served, self._journal.spent)
        self._sent[future := served.backend.submit(entry.request, entry.seed)] = entry
        future.add_done_callback(self._done.put)

    def _arrived(self) -> Done:
        """Wait for a server's next reply, and take all that are there then."""
        arrived = [self._done.get()]
        while not self._done.empty():
            arrived.append(self._done.get())
        for future in arrived:
            future.result()  # the first error ends the step; close() keeps the others' answers
        return [done for entry, answer in self._write(arrived) for done in self._deliver(entry.key, answer)]

    def _write(self, arrived: Iterable[Future[Reply | Failed]]) -> list[tuple[Entry, Any]]:
        """Write replies into the journal, and give them back as they are kept; failures are not, and are given back
        as they are. What was cancelled or raised an error gave none.

        Until all is written nothing is forgotten: an interruption leaves it to :meth:`close`.
        """
        came = {future: future.result() for future in arrived if not future.cancelled() and future.exception() is None}
        answers = [
            (self._sent[future], reply if isinstance(reply, Failed) else kept(reply)) for future, reply in came.items()
        ]
        new = [(entry, answer) for entry, answer in answers if not isinstance(answer, Failed)]
        for served in self._models.servers:
            self._owed[served.identity] = self._owed.get(served.identity, Spent()) + served.backend.charged()
        of = self._models.named
        self._journal.put(
            [(entry.key, of(entry.request.model).identity, entry.question, answer) for entry, answer in new], self._owed
        )
        self._owed.clear()
        for future in came:
            del self._sent[future]
        self.asked += len(new)
        return answers

    def _batch(self) -> Done:
        """Have a model in this process answer all that it is asked of one kind."""
        (served, kind), needed = next(iter(self._held.items()))
        del self._held[served, kind]
        self._models.load(served)
        done: Done = []
        for entry, reply in zip_longest(needed, compute(served.backend, kind, needed)):
            if entry is None or reply is None:
                model, how_many = needed[0].request.model, "fewer" if reply is None else "more"
                raise RunError(
                    "E-RUN-020",
                    f"the backend of {model!r} gave {how_many} than {len(needed)} replies to {len(needed)} requests",
                )
            answer: Any = reply
            if not isinstance(reply, Failed):
                answer = kept(reply)
                self._journal.put([(entry.key, served.identity, entry.question, answer)])
                self.asked += 1
            done += self._deliver(entry.key, answer)
        return done

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
