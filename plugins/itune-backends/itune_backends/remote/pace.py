"""So many a minute, spread evenly."""

from __future__ import annotations


class Pace:
    """A token bucket without a reserve: each use moves the time at which the next may follow.

    In any minute that begins with a use at most `per_minute` are used, and what the last one exceeds that by. (The
    generic cell rate algorithm; a bucket that saves up would send twice as much in the minute after a pause.)

    Args:
        per_minute: requests or tokens; None: as fast as it goes.
    """

    def __init__(self, per_minute: float | None) -> None:
        self._seconds_each = 60.0 / per_minute if per_minute else 0.0
        self.ready = 0.0
        """When the next may go, in the clock of :meth:`take`."""

    def take(self, amount: float, now: float) -> None:
        """Use `amount` at `now`."""
        self.ready = max(self.ready, now) + amount * self._seconds_each

    def correct(self, amount: float) -> None:
        """Count `amount` more, or less, than was taken: the estimate was wrong."""
        self.ready += amount * self._seconds_each
