"""JSON that is read strictly, and an element of which a bad one does not take the others with it.

Strict: UTF-8, no NUL byte, no key given twice (the standard library would silently keep the last). Nothing here raises
anything but :class:`RowError`, whatever the bytes are.
"""

from __future__ import annotations

import json
import re
from typing import Any

from itune_core.api.errors import RowError
from itune_core.api.reading.faults import given_twice, nul, undecodable


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        raise given_twice([key for key, _ in pairs])
    return row


_STRICT = json.JSONDecoder(object_pairs_hook=_unique)
_LENIENT = json.JSONDecoder(strict=False, parse_int=str)
"""Finds where a bad element ends: takes control characters, keys given twice and numbers of any length."""

_scan = _STRICT.scan_once  # type: ignore[attr-defined]  # typeshed lacks it

_SPACE = " \t\n\r"

_UNDECODABLE = re.compile("[\udc80-\udcff]")
"""What "surrogateescape" makes of bytes that are not UTF-8."""

DEPTH = 200
"""How deep a value may be nested. Python's own limit hangs on who calls, and so differs from process to process."""

_CUT = 16
"""Characters in which a literal, a number or an escape is long enough to be told."""


class Unfinished(Exception):
    """The text ends before the element does."""


def decode(content: bytes, encoding: str = "utf-8") -> Any:
    """The value that `content`, in UTF-8, spells; `encoding` is what it was before, for messages.

    Raises:
        RowError: ``E-DATA-007`` not JSON; ``E-DATA-008`` a NUL byte; ``E-DATA-009`` not in its encoding; ``E-DATA-014``
            a key given twice.
    """
    try:
        text = content.decode("utf-8").strip(_SPACE)
        value, end = _scan(text, 0)
        if end == len(text):
            if is_deep(value, text):
                raise RecursionError
            return value
        problem: Exception = json.JSONDecodeError("Extra data", text, end)
    except StopIteration as stop:
        problem = json.JSONDecodeError("Expecting value", text, stop.value)
    except (RowError, ValueError, RecursionError) as error:
        problem = error
    if b"\x00" in content:  # no JSON has one, so that only what is no JSON need be searched
        raise nul() from problem
    if isinstance(problem, UnicodeDecodeError):
        raise undecodable(content, problem.start, encoding) from problem
    if isinstance(problem, RowError):
        raise problem
    raise _not_json(problem) from problem


def element(
    text: str, at: int, *, whole: bool, encoding: str = "utf-8", line: int = 0, column: int = 0
) -> tuple[Any | RowError, int]:
    """The value that begins at `at`, a :class:`RowError` if it is bad, and where it ends.

    Args:
        text: decoded with "surrogateescape".
        at: where a value begins.
        whole: whether `text` is all there is.
        encoding: what the text was in, for messages.
        line, column: how many lines, and characters of the line it stands in, come before `text`, for messages.

    Raises:
        Unfinished: the text ends before the element does.
        RowError: ``E-DATA-007``, where the end of the element cannot be told; from a RecursionError where it is nested
            too deeply.
    """
    try:
        value, end = _STRICT.raw_decode(text, at)
    except (RowError, ValueError, RecursionError) as error:
        bad: RowError = error if isinstance(error, RowError) else _not_json(error, line, column)
        try:
            _, end = _LENIENT.raw_decode(text, at)
        except (ValueError, RecursionError) as cause:
            if not whole and _is_cut(cause, len(text)):
                raise Unfinished from None
            stop = cause.pos + 1 if isinstance(cause, json.JSONDecodeError) else len(text)
            raise _spoilt(text[at:stop], encoding) or bad from cause
        value = bad
    if end == len(text) and not whole:
        raise Unfinished  # a number may go on
    if is_deep(value, text[at:end]):
        value = _not_json(RecursionError())
    return _spoilt(text[at:end], encoding) or value, end


def is_deep(value: Any, text: str) -> bool:
    """Whether `value`, which `text` spells, is nested deeper than :data:`DEPTH`."""
    if text.count("[") + text.count("{") <= DEPTH:
        return False
    level = [value]
    for _ in range(DEPTH + 1):
        level = [
            inner
            for item in level
            if isinstance(item, (dict, list))
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return False
    return True


def _spoilt(text: str, encoding: str) -> RowError | None:
    """What is wrong with the bytes of a text, whatever else may be."""
    if "\x00" in text:
        return nul()
    if text.isascii() or not (found := _UNDECODABLE.search(text)):
        return None
    return undecodable(text[found.start() : found.start() + 3].encode("utf-8", "surrogateescape"), 0, encoding)


def _is_cut(error: Exception, length: int) -> bool:
    """Whether an error may come from the end of the text alone."""
    if not isinstance(error, json.JSONDecodeError):
        return False
    return error.msg.startswith("Unterminated string") or error.pos > length - _CUT


def expected(what: str, text: str, at: int, line: int, column: int) -> RowError:
    """The error of a text that at `at` is not what it must be; the rest as in :func:`element`."""
    return _not_json(json.JSONDecodeError(what, text, at), line, column)


def _not_json(error: Exception, line: int = 0, column: int = 0) -> RowError:
    if isinstance(error, RecursionError):
        return RowError("JSON is nested too deeply", "E-DATA-007")
    if isinstance(error, json.JSONDecodeError):
        place = f"column {error.colno + (column if error.lineno == 1 else 0)}"
        if error.lineno + line > 1:
            place = f"line {error.lineno + line}, {place}"
        return RowError(f"not JSON: {error.msg} at {place}", "E-DATA-007")
    return RowError("not JSON that can be read", "E-DATA-007", why=str(error))  # an integer of thousands of digits
