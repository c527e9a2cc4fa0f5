"""Parquet and Arrow, a few rows at a time.

Arrow is told by what it begins with: a file with an index at its end, or a stream, which `datasets` writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from itune_core.api.errors import DataError, RowError
from itune_core.api.reading.columns import check_columns
from itune_core.api.reading.compression import unpacked
from itune_core.api.reading.faults import broken
from itune_core.api.reading.rows import BadRow, Row
from itune_core.api.reading.streams import DAMAGE
from itune_core.api.reading.values import plain_row

ROWS = 512
"""Rows turned into Python values at a time."""

BUFFER = 2**20
"""Bytes of a Parquet column read at a time."""


def columnar(path: Path, name: str, format: str, columns: Sequence[str] | None) -> Iterator[Row | BadRow]:
    """The rows of a Parquet or Arrow file, values as JSON has them; `where` is ``name#index``.

    Args:
        path: the file; one that is compressed as a whole is unpacked to a temporary one.
        name: the file, as it stands in `where`.
        format: ``parquet`` or ``arrow``.
        columns: those to read; None: all.

    Raises:
        DataError: ``E-DATA-026`` two columns have one name; ``E-DATA-027`` there is no such column.
    """
    import pyarrow

    index = 0
    try:
        with ExitStack() as stack:
            file = stack.enter_context(unpacked(path))
            batches = (_parquet if format == "parquet" else _arrow)(file, name, columns, stack)
            for batch in batches:
                for start in range(0, batch.num_rows, ROWS):
                    yield from _rows(batch.slice(start, ROWS), name, index)
                    index += min(ROWS, batch.num_rows - start)
    except (pyarrow.ArrowException, *DAMAGE) as error:
        yield BadRow(broken(error), f"{name}#{index}")


def _parquet(path: Path, name: str, columns: Sequence[str] | None, stack: ExitStack) -> Iterator[Any]:
    from pyarrow.parquet import ParquetFile

    file = stack.enter_context(ParquetFile(path, buffer_size=BUFFER, pre_buffer=False))
    _check(file.schema_arrow.names, name, columns)
    yield from file.iter_batches(ROWS, columns=columns, use_threads=False)


def _arrow(path: Path, name: str, columns: Sequence[str] | None, stack: ExitStack) -> Iterator[Any]:
    import pyarrow

    source = stack.enter_context(pyarrow.memory_map(str(path)))
    if source.read(6) == b"ARROW1":
        reader = stack.enter_context(pyarrow.ipc.open_file(source))
        batches = (reader.get_batch(number) for number in range(reader.num_record_batches))
    else:
        source.seek(0)
        reader = stack.enter_context(pyarrow.ipc.open_stream(source))
        batches = iter(reader)
    _check(reader.schema.names, name, columns)
    for batch in batches:
        chosen = batch if columns is None else batch.select(columns)
        for column in chosen.columns:
            _sound(column)
        yield chosen


def _sound(column: Any) -> None:
    """Make sure that nothing in a column points out of it: Arrow itself believes a file and would read beyond memory.

    Raises:
        pyarrow.ArrowException: something does. Text that is not UTF-8 is no reason; it is told row by row.
    """
    import pyarrow

    try:
        column.validate(full=True)
    except pyarrow.ArrowInvalid:
        if pyarrow.types.is_dictionary(column.type):
            _sound(column.dictionary)
            pyarrow.DictionaryArray.from_arrays(column.indices, pyarrow.nulls(len(column.dictionary)))
        else:
            column.view(_bytes(column.type)).validate(full=True)


def _bytes(type: Any) -> Any:
    """An Arrow type with bytes in the place of text."""
    import pyarrow
    from pyarrow import types

    if types.is_struct(type):
        return pyarrow.struct([field.with_type(_bytes(field.type)) for field in type])
    if types.is_list(type):
        return pyarrow.list_(type.value_field.with_type(_bytes(type.value_type)))
    if types.is_large_list(type):
        return pyarrow.large_list(type.value_field.with_type(_bytes(type.value_type)))
    return {
        pyarrow.string(): pyarrow.binary(),
        pyarrow.large_string(): pyarrow.large_binary(),
        pyarrow.string_view(): pyarrow.binary_view(),
    }.get(type, type)


def _check(present: Sequence[str], name: str, columns: Sequence[str] | None) -> None:
    twice = sorted({column for column in present if present.count(column) > 1})
    if twice:
        what = f"the file has the column {twice[0]!r} twice"
        raise DataError("E-DATA-026", what, where=name, fix="rename one of them")
    check_columns(present, name, columns)


def _rows(batch: Any, name: str, first: int) -> Iterator[Row | BadRow]:
    import pyarrow

    # what Python does not have: text that is not UTF-8, a date after the year 9999, a time in nanoseconds
    unlike = (ValueError, OverflowError, pyarrow.ArrowException)
    try:
        values = batch.to_pylist()
    except unlike:
        for index in range(batch.num_rows):
            where = f"{name}#{first + index}"
            try:
                (row,) = batch.slice(index, 1).to_pylist()
            except unlike as error:
                yield BadRow(RowError("holds a value that cannot be read", "E-DATA-019", why=str(error)), where)
            else:
                yield plain_row(row, where)
    else:
        json = all(map(_is_json, batch.schema.types))
        for index, row in enumerate(values, first):
            where = f"{name}#{index}"
            yield Row(row, where) if json else plain_row(row, where)


def _is_json(type: Any) -> bool:
    """Whether Python's form of an Arrow type is JSON's."""
    from pyarrow import types

    if types.is_struct(type):
        return all(_is_json(type.field(number).type) for number in range(type.num_fields))
    if types.is_list(type) or types.is_large_list(type) or types.is_dictionary(type):
        return _is_json(type.value_type)
    told = (
        types.is_string,
        types.is_large_string,
        types.is_integer,
        types.is_floating,
        types.is_boolean,
        types.is_null,
    )
    return any(test(type) for test in told)
