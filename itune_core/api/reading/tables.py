"""CSV and TSV, strictly: a quote never closed or a field too many is a bad row, never a guess."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from itune_core.api.errors import DataError, RowError
from itune_core.api.reading.columns import check_columns
from itune_core.api.reading.faults import MAX_LINE, broken, empty, nul, too_long, undecodable
from itune_core.api.reading.rows import BadRow, Row
from itune_core.api.reading.streams import DAMAGE


class _TooLong(Exception):
    """A record is longer than is held."""


class _Lines:
    """The lines of a file as the csv module takes them, with the books of the record that is being read.

    Args:
        stream: UTF-8.
        encoding: what the file was read in, for messages.

    Attributes:
        number: lines read.
        error: what is wrong with the bytes of the record.
    """

    def __init__(self, stream: io.BufferedReader, encoding: str) -> None:
        self._stream, self._encoding = stream, encoding
        self.number = 0
        self.begin()

    def begin(self) -> None:
        """A new record begins."""
        self.error: RowError | None = None
        self._size = self._quotes = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._stream.readline(MAX_LINE + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self._size += len(line)
        if self._size > MAX_LINE:
            self._pass_over(line)
            raise _TooLong
        self._quotes += line.count(b'"')
        if b"\x00" in line:
            self.error = nul()
        try:
            return line.decode("utf-8")
        except UnicodeDecodeError as error:
            self.error = undecodable(line, error.start, self._encoding)
            return line.decode("utf-8", "replace")

    def _pass_over(self, line: bytes) -> None:
        """Read to the end of a record that is too long: to a line's end with no quote open."""
        while line:
            self._quotes += line.count(b'"')
            if line.endswith(b"\n"):
                if self._quotes % 2 == 0:
                    return
                self.number += 1
            line = self._stream.readline(MAX_LINE)


def table(
    stream: io.BufferedReader,
    name: str,
    encoding: str,
    delimiter: str,
    header: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
) -> Iterator[Row | BadRow]:
    """The rows of a CSV or TSV file, all values text; `where` is ``name:line``, the line that a row begins in.

    Args:
        stream: UTF-8.
        name: the file, as it stands in `where`.
        encoding: what the file was read in, for messages.
        delimiter: stands between fields.
        header: names of the fields; None: the first line has them.
        columns: names that the header must have; None: any.

    Raises:
        DataError: ``E-DATA-026`` the header names a field twice or not at all, or cannot be read; ``E-DATA-027`` it
            lacks one of `columns`.
    """
    lines = _Lines(stream, encoding)
    names = header
    if names is not None:
        check_columns(names, name, columns)
    for where, record in _records(lines, name, csv.reader(lines, delimiter=delimiter, strict=True)):
        if names is None:
            names = _header(record, where)
            check_columns(names, where, columns)
        elif isinstance(record, RowError):
            yield BadRow(record, where)
        elif len(record) != len(names):
            yield BadRow(_uneven(record, names), where)
        else:
            yield Row(dict(zip(names, record, strict=True)), where)
    if lines.number == 0:
        yield BadRow(empty(), f"{name}:0")


def _records(lines: _Lines, name: str, reader: Iterator[list[str]]) -> Iterator[tuple[str, list[str] | RowError]]:
    """Each record, or what is wrong with it, and where it begins; blank lines are passed over."""
    while True:
        lines.begin()
        where = f"{name}:{lines.number + 1}"
        try:
            record = _next(reader)
        except StopIteration:
            return
        except _TooLong:
            yield where, too_long()
        except csv.Error as error:
            yield (
                where,
                lines.error
                or RowError(
                    f"not CSV: {error}", "E-DATA-016", fix="double a quote inside a quoted field, and close every quote"
                ),
            )
        except DAMAGE as error:
            yield where, broken(error)
            return
        else:
            if record:
                yield where, lines.error or record


def _next(reader: Iterator[list[str]]) -> list[str]:
    """The next record. The limit on a field's length is the process's, and others read with it: it is put back."""
    before = csv.field_size_limit(MAX_LINE)
    try:
        return next(reader)
    finally:
        csv.field_size_limit(before)


def _header(record: list[str] | RowError, where: str) -> list[str]:
    if isinstance(record, RowError):
        what, why = "the header cannot be read", ": ".join(part for part in (record.what, record.why) if part)
    elif "" in record or len(set(record)) != len(record):
        twice = sorted({field for field in record if field and record.count(field) > 1})
        what = f"the header names {', '.join(map(repr, twice))} twice" if twice else "the header has an empty name"
        why = f"it is {', '.join(map(repr, record))}"
    else:
        return record
    raise DataError(
        "E-DATA-026",
        what,
        where=where,
        why=why,
        fix="name the fields: `reading: {header: [...]}` if the file has no header line; mend the line if it has one",
    )


def _uneven(record: Sequence[str], names: Sequence[str]) -> RowError:
    return RowError(f"{len(record)} fields, where the header has {len(names)}", "E-DATA-015")
