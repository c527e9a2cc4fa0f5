"""Read rows from files, one bad row at a time.

A bad row (invalid UTF-8, a NUL byte, not JSON, a duplicate key, not an object, a line over :data:`MAX_LINE` bytes) is
yielded as :class:`BadRow` with its file and line and reading goes on; where a file cannot be read any further (a gzip
stream cut short) that is one bad row too, after all rows before it. Memory does not grow with the number of lines.

Formats by suffix: ``.jsonl`` / ``.ndjson`` (one object a line) and ``.json`` (one array of objects, held in
memory as a whole), each also as ``.gz``.
"""

from __future__ import annotations

import glob
import gzip
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, cast

from itune_core.api.errors import DataError, ItuneError, RowError
from itune_core.api.strict_json import decode, elements

MAX_LINE = 4 * 2**20
"""Longest line read, in bytes. A longer one is a bad row; it is skipped without being held in memory."""

BOM = b"\xef\xbb\xbf"

SUFFIXES = (".jsonl", ".ndjson", ".json")


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


def find_files(paths: Sequence[str]) -> list[Path]:
    """The files that `paths` name, in order: a file, a folder (its readable files, sorted) or a glob (sorted).

    Raises:
        DataError: ``E-DATA-020`` if a path names no file that can be read.
    """
    found: list[Path] = []
    for text in paths:
        path = Path(text).expanduser()
        if path.is_dir():
            matches = sorted(item for item in path.iterdir() if _format(item))
        elif path.is_file():
            matches = [path]
        else:
            matches = sorted(Path(item) for item in glob.glob(str(path), recursive=True) if Path(item).is_file())
        if not matches:
            raise DataError(
                "E-DATA-020",
                f"no file to read at {text!r}",
                where=str(path.resolve()),
                why="it does not exist" if not path.is_dir() else f"the folder holds no {', '.join(SUFFIXES)} file",
                fix="correct the path; relative paths start at the recipe's folder",
            )
        found.extend(matches)
    return found


def read_rows(paths: Sequence[str]) -> Iterator[Row | BadRow]:
    """Every row of the files that `paths` name, in order; `where` is ``file:line`` (``file#index`` for an array).

    Raises:
        DataError: ``E-DATA-020`` no such file; ``E-DATA-021`` a suffix that no reader knows; ``E-DATA-022`` a file
            cannot be opened.
    """
    for path in find_files(paths):
        kind = _format(path)
        if kind is None:
            raise DataError(
                "E-DATA-021",
                f"do not know how to read {path.name!r}",
                where=str(path),
                fix=f"use {', '.join(SUFFIXES)}",
            )
        try:
            raw = path.open("rb")
        except OSError as error:
            raise DataError("E-DATA-022", f"cannot open {path.name!r}", where=str(path), why=str(error)) from error
        with raw:
            stream = cast("IO[bytes]", gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw)
            yield from (_lines if kind != ".json" else _array)(stream, str(path))


def _format(path: Path) -> str | None:
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    return suffix if suffix in SUFFIXES else None


def _lines(stream: IO[bytes], name: str) -> Iterator[Row | BadRow]:
    number = 0
    try:
        while line := stream.readline(MAX_LINE + 1):
            number += 1
            where = f"{name}:{number}"
            if len(line) > MAX_LINE and not line.endswith(b"\n"):
                yield BadRow(RowError(f"the line is longer than {MAX_LINE} bytes", "E-DATA-004"), where)
                while line and not line.endswith(b"\n"):
                    line = stream.readline(MAX_LINE)
                continue
            if number == 1:
                line = line.removeprefix(BOM)
            if line.strip():
                yield _line(line, where)
    except (EOFError, OSError, zlib.error) as error:
        yield BadRow(_broken(error), f"{name}:{number + 1}")
    else:
        if number == 0:
            yield BadRow(RowError("the file is empty", "E-DATA-006"), f"{name}:0")


def _line(line: bytes, where: str) -> Row | BadRow:
    try:
        return _row(decode(line), where)
    except RowError as error:
        return BadRow(error, where)


def _array(stream: IO[bytes], name: str) -> Iterator[Row | BadRow]:
    content, broken = _whole(stream)
    if not content.strip():
        yield BadRow(broken or RowError("the file is empty", "E-DATA-006"), f"{name}#0")
        return
    index = 0
    try:
        for value in elements(content.removeprefix(BOM)):
            where = f"{name}#{index}"
            yield BadRow(value, where) if isinstance(value, RowError) else _row(value, where)
            index += 1
    except RowError as error:
        yield BadRow(broken or error, f"{name}#{index}")


def _whole(stream: IO[bytes]) -> tuple[bytes, RowError | None]:
    """All that can be read, and what kept the rest from it."""
    content = bytearray()
    try:
        while part := stream.read1(2**20):  # type: ignore[attr-defined]  # read() would lose what came before an error
            content += part
    except (EOFError, OSError, zlib.error) as error:
        return bytes(content), _broken(error)
    return bytes(content), None


def _broken(error: Exception) -> RowError:
    return RowError("the file cannot be read any further", "E-DATA-005", why=str(error))


def _row(value: Any, where: str) -> Row | BadRow:
    if isinstance(value, dict):
        return Row(value, where)
    return BadRow(RowError(f"expected an object, not {type(value).__name__}", "E-DATA-007"), where)
