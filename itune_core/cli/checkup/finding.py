"""One thing that was looked at."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """What was found of one subject.

    Attributes:
        subject: what was looked at.
        well: whether work can be done with it as it is.
        seen: what was seen.
        advice: what to type or change next, in one line; None if there is nothing to say. What is well may have one.
    """

    subject: str
    well: bool
    seen: str
    advice: str | None = None

    @property
    def mark(self) -> str:
        """``ok``; ``note`` if there is something to know; ``BAD`` if it is not well."""
        return "BAD" if not self.well else "note" if self.advice else "ok"
