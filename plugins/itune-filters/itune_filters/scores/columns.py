"""Numbers in score columns, as filters decide over them."""

from __future__ import annotations

import math

from itune_core.api import DataError, Record, RowError


def value(record: Record, column: str) -> object:
    """What stands in a column, which is not nothing.

    Raises:
        DataError: ``E-FILTER-014`` the data set has no such column.
        RowError: ``E-FILTER-010`` it is null, or NaN: what is not known of a record decides nothing about it.
    """
    if column not in record:
        raise DataError(
            "E-FILTER-014",
            f"the data set has no column {column!r}",
            why=f"it has {sorted(name for name in record if name.startswith('score.')) or 'no score columns'}",
            fix="name a column of a scorer before this step: score.STEP, or score.STEP.PART",
        )
    found = record[column]
    if found is None or found != found:
        nothing = "null" if found is None else "not a number (NaN)"
        raise RowError(f"the record has no {column}: it is {nothing}", "E-FILTER-010")
    return found


def number(record: Record, column: str) -> float:
    """The number in a column.

    Raises:
        DataError, RowError: as :func:`value`; ``E-FILTER-011`` it holds something else than a number.
    """
    return as_number(value(record, column), column)


def as_number(found: object, column: str) -> float:
    """A column's value as a number; true and false are none.

    Raises:
        RowError: ``E-FILTER-011`` it is something else.
    """
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        raise RowError(f"{column} holds {kind_of(found)}, not a number", "E-FILTER-011")
    return float(found)


def kind_of(found: object) -> str:
    """What a value is, for people."""
    if isinstance(found, bool):
        return "true or false"
    return "a number" if isinstance(found, (int, float)) else "text" if isinstance(found, str) else "a list"


def spelt(figure: float) -> str:
    """A number for people: six digits, and no fraction where there is none."""
    return f"{figure:.6g}"


def spelt_apart(one: float, other: float) -> tuple[str, str]:
    """Two numbers for people; all digits where six would make different ones look the same."""
    if spelt(one) != spelt(other) or one == other or not (math.isfinite(one) and math.isfinite(other)):
        return spelt(one), spelt(other)
    return repr(one), repr(other)
