"""What a data set is like: the means of its score columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from itune_core.api import DataError

if TYPE_CHECKING:
    import datasets

NAMED = 3
"""Rows named in an error."""


def means(rows: datasets.Dataset, columns: Mapping[str, str], named: str) -> dict[str, float]:
    """The mean of each column, by the name of its indicator. A bool counts as 0 or 1.

    Args:
        rows: the data set.
        columns: score column by indicator.
        named: the data set as a person finds it in the recipe.

    Raises:
        DataError: ``E-EVAL-020`` there are no rows; ``E-EVAL-021`` a column holds no numbers; ``E-EVAL-022`` rows have
            no score. A mean over the others would be that of another data set.
    """
    if not len(rows):
        raise DataError("E-EVAL-020", f"{named} has no rows", fix="look at what the steps before it dropped")
    return {indicator: _mean(rows, column, named) for indicator, column in columns.items()}


def _mean(rows: datasets.Dataset, column: str, named: str) -> float:
    import numpy as np

    values = rows.select_columns([column]).with_format("arrow")[:].column(column)
    if np.dtype(values.type.to_pandas_dtype()).kind not in "biuf":
        raise DataError(
            "E-EVAL-021",
            f"the column {column!r} of {named} holds {values.type}, not numbers",
            fix="name a column of numbers: score.STEP, or score.STEP.PART",
        )
    missing = values.is_null(nan_is_null=True).to_numpy()
    if missing.any():
        ids = rows.select(np.flatnonzero(missing)[:NAMED].tolist())["id"]
        raise DataError(
            "E-EVAL-022",
            f"rows have no score: {int(missing.sum())} of {len(rows)} of {named} lack {column}",
            where=f"record {', '.join(ids)}" + (", ..." if missing.sum() > NAMED else ""),
            why="the scorer failed for them",
            fix="see why with itune ledger; drop them with a filter before they are mixed",
        )
    return float(values.to_numpy().astype(np.float64).mean())
