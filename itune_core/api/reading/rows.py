"""What reading gives: a row that knows where it came from, or what kept one from being read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from itune_core.api.errors import ItuneError, RowError


class Row(Mapping[str, Any]):
    """One raw row: a mapping that knows where it came from."""

    __slots__ = ("_values", "where")

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self._values = values
        self.where = where

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def text(self, key: str, default: str | None = None) -> str:
        """The text under `key`.

        Args:
            key: the field's name.
            default: what a missing or null field counts as; None: that is an error.

        Raises:
            RowError: ``E-DATA-002`` the field is missing or null; ``E-DATA-003`` it is not text.
        """
        value = self._values.get(key)
        if value is None:
            if default is not None:
                return default
            if key in self._values:
                raise RowError(f"field {key!r} is null", "E-DATA-002")
            raise RowError(f"no field {key!r}; the row has {sorted(self._values)}", "E-DATA-002")
        if not isinstance(value, str):
            raise RowError(f"field {key!r} must be text, not {type(value).__name__}", "E-DATA-003")
        return value


class BadRow:
    """A row that could not be read, and why."""

    __slots__ = ("error", "where")

    def __init__(self, error: ItuneError, where: str) -> None:
        self.error = error
        self.where = where


def object_row(value: Any, where: str) -> Row | BadRow:
    """The row of a value that was read, which must be a mapping."""
    if isinstance(value, dict):
        return Row(value, where)
    return BadRow(RowError(f"expected an object, not {type(value).__name__}", "E-DATA-007"), where)
