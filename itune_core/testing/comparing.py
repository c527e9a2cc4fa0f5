"""What a component said, as plain data, and the first place where two of its answers differ."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Literal

from itune_core.api.outcomes import Created
from itune_core.api.records import Record

Numeric = Literal["exact", "tolerance"]

TOLERANCE = {"exact": 0.0, "tolerance": 1e-4}
"""Largest relative difference of two numbers that count as the same. Sums of float32 in another order differ by some
1e-6; a real difference in what is computed is larger than 1e-4."""


def plain(value: Any) -> Any:
    """`value` as mappings, lists and scalars; a record without its id, which the engine sets."""
    if isinstance(value, Record):
        return {column: plain(item) for column, item in value.items() if column != "id"}
    if isinstance(value, Created):
        return {"created": plain(value.record), "parents": plain(value.parents)}
    if is_dataclass(value) and not isinstance(value, type):
        return {"outcome": type(value).__name__} | {
            field.name: plain(getattr(value, field.name)) for field in fields(value)
        }
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def difference(left: Any, right: Any, numeric: Numeric = "exact", place: str = "") -> str | None:
    """Where two plain values first differ, and how; None if they are the same.

    Args:
        left, right: what :func:`plain` gave.
        numeric: ``"exact"``, or ``"tolerance"`` for floats that may differ by rounding (see :data:`TOLERANCE`).
        place: what stands before the place in the answer.
    """
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        for key in [*left, *(key for key in right if key not in left)]:
            at = f"{place}.{key}" if place else str(key)
            if key not in left or key not in right:
                return f"{at} is {'missing' if key not in right else 'there'} in the second"
            if found := difference(left[key], right[key], numeric, at):
                return found
        return None
    if isinstance(left, list) and isinstance(right, list):
        if len(left) != len(right):
            return f"{place or 'it'} has {len(left)} items, then {len(right)}"
        for number, pair in enumerate(zip(left, right, strict=True)):
            if found := difference(*pair, numeric, f"{place}[{number}]"):
                return found
        return None
    if isinstance(left, float) and isinstance(right, float):
        same = left == right or (math.isnan(left) and math.isnan(right))
        same = same or math.isclose(left, right, rel_tol=TOLERANCE[numeric], abs_tol=TOLERANCE[numeric] * 0.01)
    else:
        same = type(left) is type(right) and left == right
    return None if same else f"{place or 'it'} is {left!r}, then {right!r}"
