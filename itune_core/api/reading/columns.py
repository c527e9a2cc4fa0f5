"""Reading only some of the fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from itune_core.api.errors import DataError
from itune_core.api.reading.rows import BadRow, Row


def check_columns(present: Sequence[str], name: str, columns: Sequence[str] | None) -> None:
    """Make sure that the file `name`, which has the columns `present`, has `columns`.

    Raises:
        DataError: ``E-DATA-027`` it lacks one.
    """
    absent = [column for column in columns or () if column not in present]
    if absent:
        raise DataError(
            "E-DATA-027",
            f"there is no column {absent[0]!r}",
            where=name,
            why=f"the columns are {', '.join(map(repr, present))}",
            fix="correct `reading: {columns: [...]}`",
        )


def only(rows: Iterable[Row | BadRow], columns: Sequence[str]) -> Iterator[Row | BadRow]:
    """`rows` without their other fields; a row need not have all of `columns`."""
    for row in rows:
        if isinstance(row, Row):
            yield Row({name: row[name] for name in columns if name in row}, row.where)
        else:
            yield row
