"""Values of typed formats as JSON has them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from itune_core.api.errors import RowError
from itune_core.api.reading.rows import BadRow, Row


def plain_row(values: Mapping[Any, Any], where: str) -> Row | BadRow:
    """The row of these values; a bad one if JSON has no such value, or a name is no text."""
    row = {}
    for column, value in values.items():
        if not isinstance(column, str):
            why = "a name must be text; put it in quotes if the file is YAML"
            return BadRow(RowError(f"{column!r} is no name of a field", "E-DATA-018", why=why), where)
        try:
            row[column] = plain(value)
        except TypeError as error:
            return BadRow(
                RowError(
                    f"column {column!r} holds {error}, which JSON does not have",
                    "E-DATA-018",
                    fix="read the other columns only: `reading: {columns: [...]}`",
                ),
                where,
            )
    return Row(row, where)


def plain(value: Any) -> Any:
    """A value as JSON has it: dates and times in ISO 8601, decimal numbers and UUIDs as text.

    Raises:
        TypeError: it has no such form; the message says what it is.
    """
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Mapping():
            return {_key(key): plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [plain(inner) for inner in value]
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return _duration(value)
        case Decimal() | UUID():
            return str(value)
        case _:
            raise TypeError("bytes" if isinstance(value, (bytes, bytearray)) else f"a {type(value).__name__}")


def _duration(value: timedelta) -> str:
    # a time in nanoseconds comes as a subclass that has them beside the microseconds
    nanoseconds = value // timedelta(microseconds=1) * 1000 + getattr(value, "nanoseconds", 0)
    seconds, fraction = divmod(abs(nanoseconds), 10**9)
    return f"PT{'-' if nanoseconds < 0 else ''}{seconds}" + f".{fraction:09}".rstrip("0").rstrip(".") + "S"


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a key that is no text, {key!r},")
    return key
