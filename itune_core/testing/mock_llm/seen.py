"""What a server remembers of the requests it has read."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

KEPT = 10_000
"""Requests that are remembered, and ..."""

KEPT_BYTES = 64 * 2**20
"""... bytes of their bodies together, or one body: a server may run for days, and be sent files."""


@dataclass(frozen=True)
class Seen:
    """A request as it arrived.

    Attributes:
        method, path, body: of the request.
        status: of the reply; if the reply never came, the one it would have had.
        fault: what was done to it.
    """

    method: str
    path: str
    body: bytes
    status: int
    fault: str | None


class Memory:
    """The newest requests, as many as there is room for."""

    def __init__(self) -> None:
        self._seen: deque[Seen] = deque()
        self._bytes = 0

    def __iter__(self) -> Iterator[Seen]:
        return iter(self._seen)

    def add(self, seen: Seen) -> None:
        """Remember one, and forget the oldest where there is no room for them."""
        self._seen.append(seen)
        self._bytes += len(seen.body)
        while len(self._seen) > KEPT or (self._bytes > KEPT_BYTES and len(self._seen) > 1):
            self._bytes -= len(self._seen.popleft().body)
