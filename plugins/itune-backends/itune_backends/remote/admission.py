"""Who may send now: one door for all requests to a server."""

from __future__ import annotations

import asyncio
from collections import deque
from copy import copy
from typing import NamedTuple

from itune_backends.remote.concurrency import Limit, Ticket
from itune_backends.remote.pace import Pace
from itune_core.api import ItuneError


class _Waiting(NamedTuple):
    turn: asyncio.Future[Ticket]
    tokens: float


class Admission:
    """Lets requests go one after the other: as many at once as the server takes, as many a minute as it allows, and
    none while it asked to be left alone. All of it happens in one event loop.

    Args:
        most: requests at once, at most.
        requests_per_minute, tokens_per_minute: None: no limit.
    """

    def __init__(self, most: int, requests_per_minute: float | None, tokens_per_minute: float | None) -> None:
        self.limit = Limit(most)
        self.in_flight = 0
        self._requests, self._tokens = Pace(requests_per_minute), Pace(tokens_per_minute)
        self._quiet_until = 0.0
        self._queue: deque[_Waiting] = deque()
        self._alarm: asyncio.TimerHandle | None = None
        self._halted: ItuneError | None = None

    async def enter(self, tokens: float, *, again: bool = False) -> Ticket:
        """Wait for one's turn.

        Args:
            tokens: what the request will cost, as far as one can tell.
            again: it was sent before: it goes ahead of those that were not.

        Raises:
            ItuneError: all was halted.
        """
        if self._halted is not None:  # a copy each: a raised error gathers the traceback of each that raises it
            raise copy(self._halted)
        waiting = _Waiting(asyncio.get_running_loop().create_future(), tokens)
        if again:
            self._queue.appendleft(waiting)
        else:
            self._queue.append(waiting)
        self._let_go()
        try:
            return await waiting.turn
        except asyncio.CancelledError:
            if waiting.turn.done() and not waiting.turn.cancelled() and waiting.turn.exception() is None:
                self._left()  # let go and cancelled at once
            raise

    def leave(self, ticket: Ticket, busy: bool | None) -> None:
        """A request is back.

        Args:
            ticket: its leave.
            busy: whether the server had too much to do; None: it did not say, or was not asked.
        """
        if busy:
            self.limit.refused(ticket)
        elif busy is not None:
            self.limit.succeeded(ticket, bool(self._queue) and self.in_flight >= self.limit.size)
        self._left()

    def be_quiet(self, seconds: float) -> None:
        """Send nothing for so long."""
        self._quiet_until = max(self._quiet_until, asyncio.get_running_loop().time() + seconds)

    def correct(self, tokens: float) -> None:
        """A request cost so much more, or less, than it said."""
        self._tokens.correct(tokens)

    def halt(self, error: ItuneError) -> None:
        """Let nobody go any more."""
        self._halted = self._halted or error
        while self._queue:
            turn = self._queue.popleft().turn
            if not turn.done():
                turn.set_exception(copy(self._halted))

    def _left(self) -> None:
        self.in_flight -= 1
        self._let_go()

    def _let_go(self) -> None:
        loop = asyncio.get_running_loop()
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        while self._queue and self.in_flight < self.limit.size:
            now = loop.time()
            ready = max(self._quiet_until, self._requests.ready, self._tokens.ready)
            if ready > now:
                self._alarm = loop.call_at(ready, self._let_go)
                return
            waiting = self._queue.popleft()
            if waiting.turn.done():  # cancelled
                continue
            self._requests.take(1, now)
            self._tokens.take(waiting.tokens, now)
            self.in_flight += 1
            waiting.turn.set_result(self.limit.ticket(self.in_flight))
