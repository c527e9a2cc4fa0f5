"""Which files a path names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from itune_core.api import DataError, Reading, Row, read_rows
from itune_core.api.reading import find_files

Write = Callable[[str, bytes], str]

GOOD = b'{"text": "good"}'

ROWS = ["a.json", "b.jsonl", "c.csv", "d.yaml", "e.ndjson.zst", "f.tsv.bz2"]
OTHERS = [
    *(".hidden.jsonl", "_draft.jsonl", "notes.txt", "README.md", "rows.gz"),
    *("dataset_info.json", "state.json", "dataset_infos.json", "cache-00ff.arrow", "sub/deep.jsonl"),
]


@pytest.fixture
def folder(tmp_path: Path, write: Write) -> Path:
    for name in [*ROWS, *OTHERS]:
        write(name, GOOD)
    return tmp_path


def names(folder: Path, *paths: str) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in find_files([str(folder / path) for path in paths])]


def test_of_a_folder_its_rows_in_order(folder: Path) -> None:
    assert names(folder, "") == ROWS


def test_of_a_glob_what_matches_in_order(folder: Path) -> None:
    assert names(folder, "*.json*") == ["a.json", "b.jsonl"]
    assert names(folder, "**/*.jsonl") == ["b.jsonl", "sub/deep.jsonl"]
    assert names(folder, "*.txt") == ["notes.txt"]


def test_a_file_is_what_is_named(folder: Path) -> None:
    assert names(folder, "b.jsonl", "a.json", "_draft.jsonl", "b.jsonl") == [
        "b.jsonl",
        "a.json",
        "_draft.jsonl",
        "b.jsonl",
    ]


@pytest.mark.parametrize(
    ("path", "code"),
    [("none.jsonl", "E-DATA-020"), ("*.parquet", "E-DATA-020"), ("_*", "E-DATA-020"), ("notes.txt", "E-DATA-021")],
)
def test_what_cannot_be_read_is_said(path: str, code: str, folder: Path) -> None:
    with pytest.raises(DataError) as caught:
        list(read_rows([str(folder / path)]))
    assert caught.value.code == code
    assert caught.value.fix


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        find_files([str(tmp_path)])
    assert caught.value.code == "E-DATA-020"


def test_a_format_that_is_said_beats_the_suffix(folder: Path) -> None:
    for path in ("notes.txt", "a.json", "rows.gz"):
        (row,) = read_rows([str(folder / path)], Reading(format="jsonl"))
        assert isinstance(row, Row)
        assert dict(row) == {"text": "good"}


def test_only_some_fields(write: Write) -> None:
    path = write("rows.jsonl", b'{"a": 1, "b": 2}\n{"b": 3}\n')
    read = [dict(row) for row in read_rows([path], Reading(columns=["b", "a"])) if isinstance(row, Row)]
    assert read == [{"b": 2, "a": 1}, {"b": 3}]
