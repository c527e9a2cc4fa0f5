"""What may be wrong with a row or a file in any format."""

from __future__ import annotations

from collections.abc import Sequence

from itune_core.api.errors import RowError

MAX_LINE = 4 * 2**20
"""The longest row read: bytes of a line, characters of an element. A longer one is a bad row; it is passed over without
being held in memory."""


def too_long(limit: int = MAX_LINE) -> RowError:
    """A row over the limit."""
    return RowError(f"the row is longer than {limit} bytes", "E-DATA-004")


def broken(error: Exception) -> RowError:
    """What stands in the place of all rows that damage keeps from being read."""
    return RowError("the file cannot be read any further", "E-DATA-005", why=str(error))


def empty() -> RowError:
    """A file that holds nothing."""
    return RowError("the file is empty", "E-DATA-006")


def nul() -> RowError:
    """A row with a NUL byte."""
    return RowError(
        "holds a NUL byte",
        "E-DATA-008",
        why="no text has one; a file in UTF-16 is full of them, and must be said to be: `reading: {encoding: detect}`",
    )


def undecodable(content: bytes, at: int, encoding: str) -> RowError:
    """Bytes that are not what the encoding has.

    Args:
        content: in UTF-8, but for what :func:`itune_core.api.reading.encodings.mark` put in the place of such bytes.
        at: where the first such byte is.
        encoding: what the file was read in.
    """
    byte = content[at]
    if encoding != "utf-8":
        try:
            byte = ord(content[at : at + 3].decode("utf-8", "surrogatepass")) - 0xDC00
        except (UnicodeDecodeError, TypeError):
            byte = content[at]
    name = "UTF-8" if encoding == "utf-8" else encoding
    return RowError(
        f"not {name}: byte {byte:#04x}",
        "E-DATA-009",
        why="the row is damaged, or the file is in another encoding, which must be said: `reading: {encoding: detect}`",
        fix="set `reading: {encoding: detect}`, or the name of the encoding",
    )


def given_twice(keys: Sequence[str]) -> RowError:
    """A mapping whose `keys` are not distinct."""
    twice = sorted({key for key in keys if keys.count(key) > 1})
    return RowError(f"key given twice: {', '.join(map(repr, twice))}", "E-DATA-014")
