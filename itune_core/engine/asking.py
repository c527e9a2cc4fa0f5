"""The asking loop: advances many dialogues at once, each as soon as what it asked is answered."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from itune_core.api.asking import Ask, Choices, Embed, LogProbs, Reply, Request, Rewards
from itune_core.api.context import Finished
from itune_core.api.errors import RowError
from itune_core.api.outcomes import Failed
from itune_core.engine.questions import fingerprint

WINDOW = 1024
"""Dialogues open at a time: what bounds memory. A backend has as many requests at once where each dialogue asks one; a
list that a dialogue yields is handed over whole, with every draw, completion and text of it a request of its own."""


@dataclass(frozen=True, eq=False)
class Question:
    """A request and who asks. Two are never the same one.

    Attributes:
        key: of the dialogue.
        repeat: how often the dialogue has asked just this before, so that it is answered anew where answers are drawn.
            It is not the number of the turn: a dialogue that skips one (a better parser asks nothing twice) still finds
            what it was answered in those that follow.
        request: what is asked.
        asker: the dialogue, to which :func:`drive` hands the reply.
    """

    key: str
    repeat: int
    request: Request
    asker: _Open | None = None


Answered = Iterable[tuple[Question, Reply | Failed]]

Exchange = Callable[[Sequence[Question]], Answered]
"""Takes new questions, gives back some of those that are open by now, old ones or new, with their replies: at least
one. It is called again, with nothing new, for the others."""


@dataclass(eq=False)
class _Open:
    """A dialogue under way.

    Attributes:
        key, dialogue: of it.
        new: where its questions go.
        given_up: whether nobody waits for its end.
    """

    key: str
    dialogue: Generator[Any, Any, Any]
    new: list[Question]
    given_up: bool = False
    made: list[Any] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    together: bool = False
    pending: list[Question] = field(default_factory=list)
    replies: dict[Question, Reply | Failed] = field(default_factory=dict)
    result: Any = None

    def begin(self) -> None:
        """Run to the first questions, or to the end, where there are none."""
        self._run(lambda: self.dialogue.send(None))

    def hear(self, question: Question, reply: Reply | Failed) -> None:
        """Take a reply. With the last of those that were asked together, run to the next questions or to the end."""
        if self.given_up:
            return
        self.replies[question] = reply
        if len(self.replies) < len(self.pending):
            return
        replies = [self.replies[asked] for asked in self.pending]
        self.pending, self.replies = [], {}
        if self.together:
            self._run(lambda: self.dialogue.send(replies))
            return
        [only] = replies
        if isinstance(only, Failed):
            refused = RowError(only.message, only.code, transient=only.transient)
            self._run(lambda: self.dialogue.throw(refused))
        else:
            self._run(lambda: self.dialogue.send(only))

    def _run(self, resume: Callable[[], Any]) -> None:
        try:
            item = resume()
            while not (requests := _requests(item)):
                if requests is None:
                    self.made.append(item)
                item = self.dialogue.send(requests)
        except StopIteration as stop:
            self.result = stop.value
        except RowError as error:
            self.result = Failed.of(error)
        else:
            self.together = isinstance(item, list)
            self.pending = [self._question(request) for request in requests]
            self.new += self.pending

    def _question(self, request: Request) -> Question:
        if not isinstance(request, Ask) or request.temperature == 0:
            return Question(self.key, 0, request, self)  # it has one answer
        content = fingerprint(request)
        self.asked[content] += 1
        return Question(self.key, self.asked[content] - 1, request, self)


def _requests(item: Any) -> list[Request] | None:
    """What a dialogue asks by yielding `item`; None: it does not ask."""
    requests = item if isinstance(item, list) else [item]
    asks = all(isinstance(request, (Ask, LogProbs, Choices, Rewards, Embed)) for request in requests)
    return requests if asks else None


def drive(
    dialogues: Iterable[tuple[str, Generator[Any, Any, Any]]], exchange: Exchange, window: int = WINDOW
) -> Iterator[Finished]:
    """Run dialogues to their ends and give them back in order.

    Args:
        dialogues: key and generator. A generator yields a request, for which it is sent the reply, or a list of
            requests, for which it is sent a list of replies and failures; anything else that it yields is collected.
        exchange: answers questions.
        window: most dialogues open at a time.
    """
    queue = iter(dialogues)
    opened: deque[_Open] = deque()
    new: list[Question] = []
    try:
        while True:
            for key, dialogue in islice(queue, window - len(opened)):
                opened.append(item := _Open(key, dialogue, new))
                item.begin()
            if not opened:
                return
            if opened[0].pending:
                asked = new.copy()
                new.clear()
                replies = list(exchange(asked))
                if not replies:
                    open_ = sum(len(item.pending) - len(item.replies) for item in opened)
                    raise RuntimeError(f"{open_} questions are open, and none was answered")
                for question, reply in replies:
                    assert question.asker is not None
                    question.asker.hear(question, reply)  # not always one of ours: a step may drive several at a time
            while opened and not opened[0].pending:
                done = opened.popleft()
                yield Finished(done.key, done.made, done.result)
    finally:
        for item in opened:
            item.given_up = True


def at_once(answer: Callable[[Sequence[Question]], Sequence[Reply | Failed]]) -> Exchange:
    """An exchange that answers all that it is asked in one go.

    Args:
        answer: replies to questions, in order.
    """
    return lambda questions: zip(questions, answer(questions), strict=True)
