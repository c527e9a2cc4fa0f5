"""JSON lines: bad ones never stop a reader and never vanish; each has its place and a code."""

from __future__ import annotations

import contextlib
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itune_core.api import BadRow, DataError, Row, RowError, read_rows
from itune_core.api.reading import MAX_LINE

GOOD = b'{"text": "good"}'

Write = Callable[[str, bytes], str]
Seen = Callable[..., list[tuple[str, str]]]

BAD_LINES = {
    "not JSON": (b'{"text": good}', "E-DATA-007"),
    "two values": (GOOD + GOOD, "E-DATA-007"),
    "an array": (b"[1]", "E-DATA-007"),
    "a number": (b"7", "E-DATA-007"),
    "null": (b"null", "E-DATA-007"),
    "nested too deeply": (b"[" * 200_000, "E-DATA-007"),
    "an integer of 5000 digits": (b'{"n": ' + b"1" * 5000 + b"}", "E-DATA-007"),
    "a NUL byte": (b'{"text": "a\x00b"}', "E-DATA-008"),
    "Latin-1": ('{"text": "caf\u00e9"}'.encode("latin-1"), "E-DATA-009"),
    "a BOM inside": (b"\xef\xbb\xbf" + GOOD, "E-DATA-007"),
    "a key twice": (b'{"text": "a", "text": "b"}', "E-DATA-014"),
    "a key twice, inside": (b'{"turns": [{"role": "a", "role": "b"}]}', "E-DATA-014"),
    "too long": (b'{"text": "' + b"x" * 5_000_000 + b'"}', "E-DATA-004"),
}


@pytest.mark.parametrize("suffix", [".jsonl", ".ndjson", ".jsonl.gz"])
@pytest.mark.parametrize("name", BAD_LINES)
def test_a_bad_line_is_named_and_the_others_pass(name: str, suffix: str, write: Write, seen: Seen) -> None:
    line, code = BAD_LINES[name]
    path = write(f"rows{suffix}", b"\n".join([GOOD, line, GOOD, line]))
    assert [(where.split(":")[1], what) for where, what in seen(path)] == [
        ("1", "good"),
        ("2", code),
        ("3", "good"),
        ("4", code),
    ]


def test_values_and_places(write: Write) -> None:
    path = write("rows.jsonl", b'\xef\xbb\xbf{"text": "\\u00e9"}\r\n\n  \n{"text": "\xc3\xa9", "n": [1, null]}')
    first, second = read_rows([path])
    assert isinstance(first, Row)
    assert isinstance(second, Row)
    assert dict(first) == {"text": "é"}
    assert dict(second) == {"text": "é", "n": [1, None]}
    assert (first.where, second.where) == (f"{path}:1", f"{path}:4")


@pytest.mark.parametrize(
    "name",
    ["rows.jsonl", "rows.json", "rows.csv", "rows.tsv", "rows.yaml", "rows.jsonl.gz", "rows.json.zst", "rows.csv.bz2"],
)
def test_an_empty_file_is_one_bad_row(name: str, write: Write, seen: Seen) -> None:
    assert [code for _, code in seen(write(name, b""))] == ["E-DATA-006"]


def test_a_long_line_is_not_held_in_memory(tmp_path: Path, seen: Seen) -> None:
    path = tmp_path / "rows.jsonl"
    with path.open("wb") as stream:
        for _ in range(40):
            stream.write(b"x" * 2**20)
        stream.write(b"\n" + GOOD)
    tracemalloc.start()
    try:
        assert [code for _, code in seen(str(path))] == ["E-DATA-004", "good"]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * MAX_LINE


def test_the_longest_line_is_read(write: Write, seen: Seen) -> None:
    frame = len(b'{"text": ""}')
    fits = b'{"text": "' + b"x" * (MAX_LINE - frame) + b'"}'
    over = b'{"text": "' + b"x" * (MAX_LINE - frame + 1) + b'"}'
    path = write("rows.jsonl", b"\n".join([fits, over, fits]))
    assert [code for _, code in seen(path)] == ["good", "E-DATA-004", "good"]


def test_text_of_a_row() -> None:
    row = Row({"a": "x", "n": 1, "none": None}, "f:1")
    assert row.text("a") == "x"
    assert row.text("none", "") == row.text("missing", "") == ""
    for field, code in (("missing", "E-DATA-002"), ("none", "E-DATA-002"), ("n", "E-DATA-003")):
        with pytest.raises(RowError) as caught:
            row.text(field)
        assert caught.value.code == code


SUFFIXES = [".jsonl", ".json", ".csv", ".tsv", ".yaml", ".parquet", ".arrow", ".jsonl.gz", ".json.zst", ".csv.bz2"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200), suffix=st.sampled_from(SUFFIXES))
def test_no_bytes_crash_the_reader(content: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows{suffix}"
    path.write_bytes(content)
    with contextlib.suppress(DataError):  # a byte order mark that is not UTF-8's, a header with a name twice
        for row in read_rows([str(path)]):
            assert isinstance(row, (Row, BadRow))
