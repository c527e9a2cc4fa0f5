"""The asking loop: advances dialogues in waves, so that one batch holds the requests of many records."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from itune_core.api.asking import Ask, Choices, Embed, LogProbs, Reply, Request, Rewards
from itune_core.api.context import Finished
from itune_core.api.errors import RowError
from itune_core.api.outcomes import Failed

WINDOW = 256
"""Dialogues open at a time: what bounds memory, and the largest batch a backend sees."""


@dataclass(frozen=True)
class Question:
    """A request and who asks: the dialogue's key and how many requests it made before."""

    key: str
    turn: int
    request: Request


@dataclass
class _Open:
    key: str
    dialogue: Generator[Any, Any, Any]
    made: list[Any] = field(default_factory=list)
    turn: int = 0
    pending: Request | None = None
    result: Any = None

    def advance(self, reply: Reply | Failed | None) -> None:
        """Run to the next request or to the end."""
        self.pending = None
        try:
            if isinstance(reply, Failed):
                item = self.dialogue.throw(RowError(reply.message, reply.code))
            else:
                item = self.dialogue.send(reply)
            while not isinstance(item, (Ask, LogProbs, Choices, Rewards, Embed)):
                self.made.append(item)
                item = self.dialogue.send(None)
            self.pending = item
        except StopIteration as stop:
            self.result = stop.value
        except RowError as error:
            self.result = Failed.of(error)


def drive(
    dialogues: Iterable[tuple[str, Generator[Any, Any, Any]]],
    answer: Callable[[Sequence[Question]], Sequence[Reply | Failed]],
    window: int = WINDOW,
) -> Iterator[Finished]:
    """Run dialogues to their ends and give them back in order.

    Args:
        dialogues: key and generator. A generator yields requests, for which it is sent replies, and anything else,
            which is collected.
        answer: replies to a wave of questions, in order.
        window: most dialogues open at a time.
    """
    queue = iter(dialogues)
    while opened := [_Open(key, dialogue) for key, dialogue in islice(queue, window)]:
        for item in opened:
            item.advance(None)
        while waiting := [item for item in opened if item.pending is not None]:
            wave = [Question(item.key, item.turn, item.pending) for item in waiting if item.pending is not None]
            for item, reply in zip(waiting, answer(wave), strict=True):
                item.turn += 1
                item.advance(reply)
        for item in opened:
            yield Finished(item.key, item.made, item.result)
