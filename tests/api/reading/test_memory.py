"""Memory does not grow with the number of rows: ten times the rows take what the tenth takes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SCRIPT = """
import json, resource, sys
from itune_core.api import Reading, Row, read_rows
count = sum(isinstance(row, Row) for row in read_rows(sys.argv[1:2], Reading(**json.loads(sys.argv[2]))))
print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""

FEW, MANY = 20_000, 200_000
ALLOWANCE = 6 * 2**20
"""Bytes that a peak may differ by for other reasons. The many rows are 16 MB of text, and more as Python objects."""


def lines(count: int) -> Iterator[str]:
    return (json.dumps({"number": number, "text": f"row {number} " * 5}) for number in range(count))


def write(path: Path, layout: str, count: int) -> None:
    if layout in ("parquet", "arrow"):
        _write_table(path, layout, count)
        return
    begin, between, end, prefix = {
        "json": ("[", ",\n", "]", ""),
        "csv": ("a,b\n", "", "", ""),
        "yaml": ("", "\n", "\n", "- "),
    }.get(layout, ("", "\n", "\n", ""))
    with path.open("w", encoding="utf-16" if layout == "utf-16" else "utf-8") as file:
        file.write(begin)
        for number, line in enumerate(lines(count)):
            text = f"{number},{'row ' * 15}\n" if layout == "csv" else prefix + line
            file.write((between if number else "") + text)
        file.write(end)


def _write_table(path: Path, layout: str, count: int) -> None:
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    def tables() -> Iterator[Any]:
        for start in range(0, count, 2_000):
            numbers = range(start, start + 2_000)
            yield pa.table({"number": numbers, "text": [f"row {number} " * 5 for number in numbers]})

    schema = pa.schema({"number": pa.int64(), "text": pa.string()})
    if layout == "parquet":
        with ParquetWriter(path, schema) as writer:
            for table in tables():
                writer.write_table(table)
    else:
        with path.open("wb") as sink, pa.ipc.new_stream(sink, schema) as stream:
            for table in tables():
                stream.write_table(table)


def peak(path: Path, **reading: Any) -> tuple[int, int]:
    """Rows that a process of its own read, and the most memory that it held."""
    command = [sys.executable, "-c", SCRIPT, str(path), json.dumps(reading)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    count, most = map(int, done.stdout.split())
    return count, most


@pytest.mark.parametrize("layout", ["jsonl", "json", "csv", "parquet", "arrow", "yaml", "utf-16"])
def test_memory_does_not_grow(layout: str, tmp_path: Path) -> None:
    few, many = (FEW, MANY) if layout != "yaml" else (FEW // 10, MANY // 10)  # which is parsed at a hundredth the speed
    peaks = {}
    for count in (few, many):
        path = tmp_path / f"{count}.{'jsonl' if layout == 'utf-16' else layout}"
        write(path, layout, count)
        read, peaks[count] = peak(path, **({"encoding": "utf-16"} if layout == "utf-16" else {}))
        assert read == count
        path.unlink()
    allowance = ALLOWANCE + (MANY * 90 if layout == "arrow" else 0)  # a file mapped into memory counts as held
    assert peaks[many] - peaks[few] < allowance
