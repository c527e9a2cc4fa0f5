"""JSON that is read strictly, and an array of which one bad element does not take the others with it.

Strict: UTF-8, no NUL byte, no key given twice (the standard library would silently keep the last). Nothing here raises
anything but :class:`RowError`, whatever the bytes are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from itune_core.api.errors import RowError


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        raise RowError(f"key given twice: {', '.join(map(repr, twice))}", "E-DATA-014")
    return row


_STRICT = json.JSONDecoder(object_pairs_hook=_unique)
_LENIENT = json.JSONDecoder(strict=False, parse_int=str)
"""Finds where a bad element ends: takes control characters, keys given twice and numbers of any length."""

_SPACE = re.compile(r"[ \t\n\r]*")


def decode(content: bytes) -> Any:
    """The value that `content` spells.

    Raises:
        RowError: ``E-DATA-007`` not JSON; ``E-DATA-008`` a NUL byte; ``E-DATA-009`` not UTF-8; ``E-DATA-014`` a key
            given twice.
    """
    if b"\x00" in content:
        raise RowError("holds a NUL byte", "E-DATA-008")
    try:
        return _STRICT.decode(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise RowError(f"not UTF-8: byte {content[error.start]:#04x} at {error.start}", "E-DATA-009") from error
    except (ValueError, RecursionError) as error:
        raise _not_json(error) from error


def elements(content: bytes) -> Iterator[Any | RowError]:
    """The elements of the array that `content` spells, in order; a :class:`RowError` in the place of a bad one.

    Raises:
        RowError: as :func:`decode`, where the array breaks off and what follows cannot be told apart any more.
    """
    text = content.decode("utf-8", "surrogateescape")
    at = _skip(text, 0)
    if not text.startswith("[", at):
        raise RowError("expected an array of objects", "E-DATA-007")
    at = _skip(text, at + 1)
    more = not text.startswith("]", at)
    while more:
        value, end = _element(text, at)
        yield value
        at = _skip(text, end)
        more = text.startswith(",", at)
        if more:
            at = _skip(text, at + 1)
    if not text.startswith("]", at):
        raise _not_json(json.JSONDecodeError("Expecting ',' or ']'", text, at))
    if _skip(text, at + 1) != len(text):
        raise _not_json(json.JSONDecodeError("Extra data", text, at + 1))


def _element(text: str, at: int) -> tuple[Any | RowError, int]:
    try:
        value, end = _STRICT.raw_decode(text, at)
    except (RowError, ValueError, RecursionError) as error:
        bad = error if isinstance(error, RowError) else _not_json(error)
        try:
            _, end = _LENIENT.raw_decode(text, at)
        except (ValueError, RecursionError):
            raise bad from error
        value = bad
    spelt = text[at:end]
    if "\x00" in spelt:
        return RowError("holds a NUL byte", "E-DATA-008"), end
    if not spelt.isascii() and any("\udc80" <= character <= "\udcff" for character in spelt):
        return RowError("not UTF-8", "E-DATA-009"), end
    return value, end


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _not_json(error: Exception) -> RowError:
    if isinstance(error, RecursionError):
        return RowError("JSON is nested too deeply", "E-DATA-007")
    if isinstance(error, json.JSONDecodeError):
        line = f"line {error.lineno}, " if error.lineno > 1 else ""
        return RowError(f"not JSON: {error.msg} at {line}column {error.colno}", "E-DATA-007")
    return RowError("not JSON that can be read", "E-DATA-007", why=str(error))  # an integer of thousands of digits
