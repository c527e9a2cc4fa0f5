"""The fields of a raw row that a formatter does not read itself: none of them is lost."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from itune_core.api import RowError

TEXTS = ("source", "task", "category", "language", "license", "rationale")
"""Columns that every record has and a row may give as text."""


def rest(row: Mapping[str, Any], *read: str, filled: Collection[str] = ()) -> dict[str, Any]:
    """Common columns of a record, from the fields of `row` that are not named in `read`.

    A text under one of :data:`TEXTS`, or a list of texts under ``references``, becomes the column of that name, unless
    the column is `filled` from elsewhere. Every other field that is not null goes into ``meta``, one JSON object.

    Raises:
        RowError: ``E-FORMAT-001`` a field cannot be written as JSON (a number that is not finite).
    """
    common: dict[str, Any] = {}
    meta: dict[str, Any] = {}
    for field in row:
        if field in read:
            continue
        value = row[field]
        if value is None:
            continue
        (common if field not in filled and _fits(field, value) else meta)[field] = value
    if meta:
        common["meta"] = as_json(meta)
    return common


def as_json(value: object) -> str:
    """What a row holds, as JSON text.

    Raises:
        RowError: ``E-FORMAT-001`` it cannot be written: a number is not finite, or it is nested too deeply.
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise RowError("a field cannot be kept as JSON", "E-FORMAT-001", why=str(error)) from error


def _fits(field: str, value: object) -> bool:
    if field == "references":
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    return field in TEXTS and isinstance(value, str)
