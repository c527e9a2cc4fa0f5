"""Values of typed formats as JSON has them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from itune_core.api.errors import RowError
from itune_core.api.reading.rows import BadRow, Row


def plain_row(values: Mapping[str, Any], where: str) -> Row | BadRow:
    """The row of these values; a bad one if JSON has no such value."""
    row = {}
    for column, value in values.items():
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
            return f"PT{value / timedelta(seconds=1):f}".rstrip("0").rstrip(".") + "S"
        case Decimal() | UUID():
            return str(value)
        case _:
            raise TypeError("bytes" if isinstance(value, (bytes, bytearray)) else f"a {type(value).__name__}")


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a key that is no text, {key!r},")
    return key
