"""Read rows from files, one bad row at a time.

A bad row (not JSON, a field too many, bytes that are not text, over :data:`MAX_LINE` bytes, ...) is yielded as
:class:`BadRow` with its file and place and reading goes on; where a file cannot be read any further (a compressed file
cut short) that is one bad row too, after all rows before it. Memory does not grow with the number of rows.

A file goes through the modules of this package from below: `compression` (what lies beneath it) and `encodings` (any
text as UTF-8) are streams; then `lines`, `arrays`, `tables`, `yaml_rows`, `plain` make rows of text, and `columnar` of
Parquet and Arrow. `hub` reads what is not here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from itune_core.api.errors import DataError
from itune_core.api.reading.arrays import json_file
from itune_core.api.reading.columnar import columnar
from itune_core.api.reading.columns import only
from itune_core.api.reading.compression import decompressed
from itune_core.api.reading.encodings import as_utf8
from itune_core.api.reading.faults import MAX_LINE, broken
from itune_core.api.reading.files import find_files
from itune_core.api.reading.hub import hub_rows
from itune_core.api.reading.lines import json_lines
from itune_core.api.reading.plain import text_lines
from itune_core.api.reading.rows import BadRow, Row
from itune_core.api.reading.settings import DETECT, Format, HubDataset, Reading
from itune_core.api.reading.settling import COLUMNAR, formats_of, settled
from itune_core.api.reading.standard_input import shown
from itune_core.api.reading.streams import DAMAGE, opened
from itune_core.api.reading.tables import table
from itune_core.api.reading.yaml_rows import yaml_rows

__all__ = [
    "MAX_LINE",
    "BadRow",
    "HubDataset",
    "Reading",
    "Row",
    "find_files",
    "hub_rows",
    "read_rows",
    "settled",
]


_AS_SUFFIXES_SAY = Reading()


def read_rows(paths: Sequence[str], reading: Reading = _AS_SUFFIXES_SAY) -> Iterator[Row | BadRow]:
    """Every row of the files that `paths` name, in order.

    Args:
        paths: files, folders, globs or ``-``, as :func:`find_files` takes them.
        reading: how they are written. The default: told by suffix, UTF-8.

    Returns:
        Rows; `where` is ``file:line`` or, of JSON, Parquet and Arrow, ``file#index`` from 0.

    Raises:
        DataError: as :func:`find_files`; ``E-DATA-021`` a suffix that no reader knows; ``E-DATA-022`` a file cannot be
            opened; ``E-DATA-023`` to ``E-DATA-027`` settings that are missing or do not fit the files.
    """
    if reading.encoding == DETECT:
        reading = settled(paths, reading)
    files = find_files(paths)
    for path, format in zip(files, formats_of(files, reading), strict=True):
        yield from _file(path, format, reading)


def _file(path: Path, format: Format, reading: Reading) -> Iterator[Row | BadRow]:
    name = shown(path)
    if format in COLUMNAR:
        yield from columnar(path, name, format, reading.columns)
    elif reading.columns is None:
        yield from _text(path, name, format, reading)
    else:
        yield from only(_text(path, name, format, reading), reading.columns)


def _text(path: Path, name: str, format: Format, reading: Reading) -> Iterator[Row | BadRow]:
    encoding = reading.encoding
    try:
        raw = opened(path)
    except OSError as error:
        raise DataError("E-DATA-022", f"cannot open {path.name!r}", where=str(path), why=str(error)) from error
    with raw:
        try:
            stream = as_utf8(decompressed(raw, path), encoding, name)
        except DAMAGE as error:
            yield BadRow(broken(error), f"{name}#0" if format == "json" else f"{name}:1")
            return
        match format:
            case "jsonl":
                yield from json_lines(stream, name, encoding)
            case "json":
                yield from json_file(stream, name, encoding)
            case "yaml":
                yield from yaml_rows(stream, name, encoding)
            case "text":
                yield from text_lines(stream, name, encoding)
            case _:
                delimiter = reading.delimiter or ("," if format == "csv" else "\t")
                yield from table(stream, name, encoding, delimiter, reading.header, reading.columns)
