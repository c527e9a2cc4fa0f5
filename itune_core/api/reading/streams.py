"""A binary stream from a function that reads, such that what came before an error is given before the error."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from pathlib import Path

DAMAGE = (EOFError, OSError, zlib.error)
"""What reading raises where a file is cut short or damaged."""

BLOCK = 2**17


class _Source(io.RawIOBase):
    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._error: Exception | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._error is not None:
            raise self._error
        filled = 0
        while filled < len(buffer):
            try:
                part = self._read(len(buffer) - filled)
            except DAMAGE as error:
                self._error = error
                if filled == 0:
                    raise
                break
            if not part:
                break
            buffer[filled : filled + len(part)] = part
            filled += len(part)
        return filled


def opened(path: Path) -> io.BufferedReader:
    """The file at `path`, opened."""
    return io.BufferedReader(io.FileIO(path), BLOCK)


def buffered(read: Callable[[int], bytes]) -> io.BufferedReader:
    """A stream of what `read` gives.

    Args:
        read: given a number, at most so many bytes (at least one; none at the end); may raise any of :data:`DAMAGE`.
    """
    return io.BufferedReader(_Source(read), BLOCK)
