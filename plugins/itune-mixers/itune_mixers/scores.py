"""Score columns of the rows to draw from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from itune_core.api import DataError
from itune_mixers.sources import Sources

if TYPE_CHECKING:
    import numpy as np

    Scores = np.ndarray[Any, np.dtype[np.float64]]

NAMED = 3
"""Rows named in an error."""


def read_scores(sources: Sources, column: str) -> Scores:
    """The score of each row, by place. A bool counts as 0 or 1.

    Raises:
        DataError: ``E-MIX-004`` a source has no such column, or it holds no numbers; ``E-MIX-005`` a row has no score.
            What is not known of a row is not guessed: neither its place in an order nor a source's mean would be true.
    """
    import numpy as np

    return np.concatenate([np.empty(0), *(_scores(sources, number, column) for number in range(len(sources.sizes)))])


def _scores(sources: Sources, number: int, column: str) -> Scores:
    import numpy as np

    rows, name = sources.data_sets[number], sources.named(number)
    if not len(rows):
        return np.empty(0)
    there = column in rows.column_names
    values = rows.select_columns([column]).with_format("arrow")[:].column(column) if there else None
    if values is not None and values.null_count < len(values):
        missing = values.is_null(nan_is_null=True).to_numpy()
        if missing.any():
            _refuse(rows, np.flatnonzero(missing), column, name)
        found = values.to_numpy()
        if found.dtype.kind in "biuf":
            return found.astype(np.float64)
    elif there:
        _refuse(rows, np.arange(len(rows)), column, name)
    raise DataError(
        "E-MIX-004",
        f"{name} has no numbers in the column {column!r}",
        why="it has no such column" if not there else f"it holds {values.type}" if values is not None else None,
        fix="name a column that every source has: score.STEP, or score.STEP.PART, of a scorer before this step",
    )


def _refuse(rows: Any, missing: np.ndarray[Any, Any], column: str, name: str) -> None:
    ids = rows.select(missing[:NAMED].tolist())["id"]
    raise DataError(
        "E-MIX-005",
        f"rows have no score: {len(missing)} of {len(rows)} of {name} lack {column}",
        where=f"record {', '.join(ids)}" + (", ..." if len(missing) > NAMED else ""),
        why="the scorer failed for them, or the score is not a number",
        fix="see why with itune ledger; drop them with a filter before this step",
    )
