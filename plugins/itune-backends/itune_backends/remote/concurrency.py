"""How many requests a server is sent at once: found out by trying, never configured to be right."""

from __future__ import annotations

import math
from dataclasses import dataclass

FIRST = 16
"""Requests at once before anything is known of the server."""

DECREASE = 0.75
"""What is left after a refusal. Larger than TCP's half: a server refuses at once, so that a mistake costs little."""

PROBING = 5
"""Rounds of answers after which it tries a level again that was refused twice, and ..."""

PROBED = 50
"""... answers, if these take longer: so that of a server which takes n at once no more than one request in fifty is
refused, however small n is."""


@dataclass(frozen=True)
class Ticket:
    """Leave for one request to be on its way.

    Attributes:
        level: how many were on their way when it was given, this one included.
        event: how often the limit had been lowered by then.
    """

    level: int
    event: int


class Limit:
    """Additive increase, multiplicative decrease, with a memory of where the last refusal was.

    It doubles with every round of answers until the first refusal, then grows by one a round. A refusal lowers it to
    `DECREASE` of itself, once for all requests that were on their way together: those of one burst are refused for one
    reason. After two refusals at the same level it stays just below and tries again only now and then.

    Args:
        most: it never grows beyond.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._size = float(min(FIRST, most))
        self._floor = 1.0  # what this event may lower it to
        self._starting = True
        self._events = 0
        self._ceiling = math.inf  # the lowest level that was refused in the last event
        self._before = math.inf  # and in the one before
        self._beyond = 0  # answers at such levels since then

    @property
    def size(self) -> int:
        """Requests at once."""
        return int(self._size)

    def ticket(self, in_flight: int) -> Ticket:
        """Let one more go; `in_flight` counts it."""
        return Ticket(in_flight, self._events)

    def succeeded(self, ticket: Ticket, held_up: bool) -> None:
        """One was answered. Where the limit `held_up` nothing, that says nothing of what more the server would take."""
        self._beyond += ticket.level >= self._ceiling
        if self._beyond >= self._ceiling:  # a whole round of them: the server takes more than it seemed
            self._ceiling = self._before = math.inf
        if not held_up:
            return
        if self._starting:
            step = 1.0
        else:
            known = abs(self._ceiling - self._before) <= 1 and self._size >= self._ceiling - 1
            step = 1.0 / (max(PROBING * self._size, PROBED) if known else self._size)
        self._size = min(self._size + step, float(self.most))

    def refused(self, ticket: Ticket) -> None:
        """One was turned away, or not answered in time."""
        self._starting, self._beyond = False, 0
        if ticket.event == self._events:  # sent since the limit was last lowered
            self._events += 1
            self._before, self._ceiling = self._ceiling, math.inf
            self._floor = max(1.0, self._size / 2)
            self._size = max(1.0, self._size * DECREASE)
        if ticket.level == 1:  # there was no other: the server does not count
            self._before = self._ceiling = math.inf
        # Others of the same burst lower it further, down to a half, if the server turned them away at a lower level.
        elif ticket.event == self._events - 1:
            self._ceiling = min(self._ceiling, max(float(ticket.level), self._floor + 1))
            self._size = max(self._floor, min(self._size, self._ceiling * DECREASE))
