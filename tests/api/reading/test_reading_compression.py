"""Compressed files: told by their bytes, read to the last byte before damage."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from itune_core.api import BadRow, Row, read_rows

Write = Callable[[str, bytes], str]
Seen = Callable[..., list[tuple[str, str]]]
Compress = Mapping[str, Callable[[bytes], bytes]]

ROWS = [{"text": f"{number * 7919 % 10007} {number}"} for number in range(20_000)]
LINES = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)
SUFFIXES = (".gz", ".bz2", ".zst")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", ["rows.jsonl", "rows"])
def test_bytes_tell_the_compression_and_the_suffix_beneath_it_the_format(
    suffix: str, name: str, tmp_path: Path, compress: Compress
) -> None:
    path = tmp_path / (name if name == "rows.jsonl" else f"rows.jsonl{suffix}")
    path.write_bytes(compress[suffix](LINES))
    assert [dict(row) for row in read_rows([str(path)]) if isinstance(row, Row)] == ROWS


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_members_laid_end_to_end_are_all_read(suffix: str, tmp_path: Path, compress: Compress) -> None:
    path = tmp_path / f"rows.jsonl{suffix}"
    half = LINES.index(b"\n", len(LINES) // 2) + 1
    path.write_bytes(compress[suffix](LINES[:half]) + compress[suffix](LINES[half:]))
    assert [dict(row) for row in read_rows([str(path)]) if isinstance(row, Row)] == ROWS


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("layout", ["jsonl", "json", "csv"])
def test_a_file_cut_short_gives_every_row_before_the_cut(
    suffix: str, layout: str, tmp_path: Path, compress: Compress
) -> None:
    frames = 6
    size = len(ROWS) // frames + 1
    spelt = {"jsonl": LINES, "json": json.dumps(ROWS).encode(), "csv": b"text\n" + LINES.replace(b'"', b"'")}[layout]
    step = len(spelt) // frames + 1
    parts = [spelt[start : start + step] for start in range(0, len(spelt), step)]
    whole = b"".join(map(compress[suffix], parts))
    path = tmp_path / f"rows.{layout}{suffix}"
    path.write_bytes(whole[: int(len(whole) * 0.7)])
    *rows, last = read_rows([str(path)])
    assert len(rows) > 3 * size  # what stands in the frames that are whole, at least
    assert all(isinstance(row, Row) for row in rows)
    if layout != "csv":
        assert [dict(row) for row in rows if isinstance(row, Row)] == ROWS[: len(rows)]
    assert isinstance(last, BadRow)
    assert last.error.code == "E-DATA-005"
    places = {"jsonl": f":{len(rows) + 1}", "json": f"#{len(rows)}", "csv": f":{len(rows) + 2}"}
    assert last.where == f"{path}{places[layout]}"


@pytest.mark.parametrize("layout", ["jsonl", "json", "csv", "yaml", "parquet"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_suffix_that_lies_is_one_bad_row(layout: str, suffix: str, tmp_path: Path, seen: Seen) -> None:
    path = tmp_path / f"rows.{layout}{suffix}"
    path.write_bytes(b"this is not compressed")
    assert [code for _, code in seen(str(path))] == ["E-DATA-005"]


def test_text_that_begins_as_bzip2_does_is_text(write: Write) -> None:
    (row,) = read_rows([write("rows.csv", b"BZh9,b\n1,2\n")])
    assert isinstance(row, Row)
    assert dict(row) == {"BZh9": "1", "b": "2"}
