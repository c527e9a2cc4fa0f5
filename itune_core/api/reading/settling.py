"""What is not said of files, found out before they are read: settled settings stand in the key and the manifest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from itune_core.api.errors import DataError
from itune_core.api.reading import standard_input
from itune_core.api.reading.detection import detect
from itune_core.api.reading.files import FORMATS, find_files, suffix_format
from itune_core.api.reading.settings import DETECT, Format, Reading

TABLES = ("csv", "tsv")
COLUMNAR = ("parquet", "arrow")


def settled(paths: Sequence[str], reading: Reading) -> Reading:
    """`reading` with the format of the files that `paths` name, and with their encoding, if it is to be detected.

    Raises:
        DataError: ``E-DATA-020`` a path names no file; ``E-DATA-021`` a suffix that no reader knows; ``E-DATA-023`` the
            format of standard input is not said; ``E-DATA-025`` no encoding, or more than one, fits all files;
            ``E-DATA-032`` a setting that no file of these formats has.
    """
    files = find_files(paths)
    formats = formats_of(files, reading)
    if reading.for_tables and not set(formats) & set(TABLES):
        raise DataError(
            "E-DATA-032",
            "`delimiter` and `header` are for CSV and TSV",
            where=str(files[0]),
            why=f"this is read as {formats[0]}",
            fix="remove them, or set `reading: {format: csv}`",
        )
    encoding = reading.encoding
    if encoding == DETECT:
        encoding = detect([file for file, format in zip(files, formats, strict=True) if format not in COLUMNAR])
    one = formats[0] if len(set(formats)) == 1 else formats
    return reading.model_copy(update={"format": one, "encoding": encoding})


def formats_of(files: Sequence[Path], reading: Reading) -> list[Format]:
    """The format of each file, as said or else by its suffix."""
    if isinstance(reading.format, list):
        if len(reading.format) != len(files):
            raise DataError(
                "E-DATA-021",
                f"`reading` says the format of {len(reading.format)} files, and there are {len(files)}",
                where=str(files[0]),
                fix="give one format for all, or none where suffixes tell",
            )
        return reading.format
    return [reading.format or _format(file) for file in files]


def _format(file: Path) -> Format:
    found = suffix_format(file)
    if found is not None:
        return found
    if standard_input.is_standard_input(file):
        raise DataError(
            "E-DATA-023", "standard input does not say how it is written", fix="set `reading: {format: jsonl}`, say"
        )
    raise DataError(
        "E-DATA-021",
        f"do not know how to read {file.name!r}",
        where=str(file),
        fix=f"set `reading: {{format: ...}}`, or use {', '.join(FORMATS)}",
    )
