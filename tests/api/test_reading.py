"""Bad rows never stop a reader and never vanish: good rows pass, each bad one has its place and a code."""

from __future__ import annotations

import contextlib
import gzip
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itune_core.api import BadRow, DataError, Row, RowError, read_rows
from itune_core.api.reading import MAX_LINE
from itune_core.api.strict_json import decode, elements

GOOD = b'{"text": "good"}'


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, bytes], str]:
    def write(name: str, content: bytes) -> str:
        path = tmp_path / name
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return str(path)

    return write


def seen(path: str) -> list[tuple[str, str]]:
    """``(place without the folder, "good" or the code)`` of every row."""
    return [
        (row.where.removeprefix(f"{Path(path).parent}/"), row.error.code if isinstance(row, BadRow) else "good")
        for row in read_rows([path])
    ]


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
def test_a_bad_line_is_named_and_the_others_pass(name: str, suffix: str, write: Callable[[str, bytes], str]) -> None:
    line, code = BAD_LINES[name]
    path = write(f"rows{suffix}", b"\n".join([GOOD, line, GOOD, line]))
    assert [(where.split(":")[1], what) for where, what in seen(path)] == [
        ("1", "good"),
        ("2", code),
        ("3", "good"),
        ("4", code),
    ]


def test_values_and_places(write: Callable[[str, bytes], str]) -> None:
    path = write("rows.jsonl", b'\xef\xbb\xbf{"text": "\\u00e9"}\r\n\n  \n{"text": "\xc3\xa9", "n": [1, null]}')
    first, second = read_rows([path])
    assert isinstance(first, Row)
    assert isinstance(second, Row)
    assert dict(first) == {"text": "é"}
    assert dict(second) == {"text": "é", "n": [1, None]}
    assert (first.where, second.where) == (f"{path}:1", f"{path}:4")


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.jsonl.gz", "rows.json.gz"])
def test_an_empty_file_is_one_bad_row(name: str, write: Callable[[str, bytes], str]) -> None:
    assert [code for _, code in seen(write(name, b""))] == ["E-DATA-006"]


def test_gzip_cut_short_gives_the_lines_before(tmp_path: Path) -> None:
    lines = [json.dumps({"text": f"{number * 7919 % 10007}"}).encode() for number in range(20_000)]
    whole = gzip.compress(b"\n".join(lines))
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(whole[: len(whole) // 2])
    *rows, last = read_rows([str(path)])
    assert len(rows) > 5_000
    assert [dict(row) for row in rows if isinstance(row, Row)] == [json.loads(line) for line in lines[: len(rows)]]
    assert isinstance(last, BadRow)
    assert (last.error.code, last.where) == ("E-DATA-005", f"{path}:{len(rows) + 1}")


def test_gzip_that_is_none(tmp_path: Path) -> None:
    for name in ("rows.jsonl.gz", "rows.json.gz"):
        path = tmp_path / name
        path.write_bytes(b"this is no gzip")
        assert [code for _, code in seen(str(path))] == ["E-DATA-005"]


@pytest.mark.parametrize("suffix", [".json", ".json.gz"])
@pytest.mark.parametrize(
    ("element", "code"),
    [
        (b"7", "E-DATA-007"),
        (b'{"n": ' + b"1" * 5000 + b"}", "E-DATA-007"),
        (b'{"text": "a\tb"}', "E-DATA-007"),
        (b'{"text": "a\x00b"}', "E-DATA-008"),
        (b'{"text": "\xe9"}', "E-DATA-009"),
        (b'{"text": "a", "text": "b"}', "E-DATA-014"),
    ],
)
def test_a_bad_element_of_an_array_is_named_and_the_others_pass(
    element: bytes, code: str, suffix: str, write: Callable[[str, bytes], str]
) -> None:
    path = write(f"rows{suffix}", b"\xef\xbb\xbf[\n" + b" ,\n".join([GOOD, element, GOOD]) + b"]\n")
    assert [(where.split("#")[1], what) for where, what in seen(path)] == [("0", "good"), ("1", code), ("2", "good")]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"[]", []),
        (b"[" + GOOD, ["good", "E-DATA-007"]),
        (b"[" + GOOD + b",", ["good", "E-DATA-007"]),
        (b"[" + GOOD + b",]", ["good", "E-DATA-007"]),
        (b"[" + GOOD + b", {broken}, " + GOOD + b"]", ["good", "E-DATA-007"]),
        (b"[" + GOOD + b"] []", ["good", "E-DATA-007"]),
        (b"[" + b"[" * 200_000, ["E-DATA-007"]),
        (GOOD, ["E-DATA-007"]),
    ],
)
def test_an_array_that_breaks_off(content: bytes, expected: list[str], write: Callable[[str, bytes], str]) -> None:
    assert [code for _, code in seen(write("rows.json", content))] == expected


def test_an_array_in_gzip_cut_short_gives_the_elements_before(tmp_path: Path) -> None:
    rows = [{"text": f"{number * 7919 % 10007}"} for number in range(20_000)]
    whole = gzip.compress(json.dumps(rows).encode())
    path = tmp_path / "rows.json.gz"
    path.write_bytes(whole[: len(whole) // 2])
    *read, last = read_rows([str(path)])
    assert len(read) > 5_000
    assert [dict(row) for row in read if isinstance(row, Row)] == rows[: len(read)]
    assert isinstance(last, BadRow)
    assert last.error.code == "E-DATA-005"


def test_a_long_line_is_not_held_in_memory(tmp_path: Path) -> None:
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


def test_the_longest_line_is_read(write: Callable[[str, bytes], str]) -> None:
    frame = len(b'{"text": ""}')
    fits = b'{"text": "' + b"x" * (MAX_LINE - frame) + b'"}'
    over = b'{"text": "' + b"x" * (MAX_LINE - frame + 1) + b'"}'
    path = write("rows.jsonl", b"\n".join([fits, over, fits]))
    assert [code for _, code in seen(path)] == ["good", "E-DATA-004", "good"]


def test_paths(tmp_path: Path, write: Callable[[str, bytes], str]) -> None:
    for name in ("b.jsonl", "a.json", "notes.txt"):
        write(name, b"[" + GOOD + b"]" if name.endswith("json") else GOOD)
    places = ["a.json#0", "b.jsonl:1"]
    for paths in ([str(tmp_path)], [str(tmp_path / "*.json*")], [str(tmp_path / "a.json"), str(tmp_path / "b.jsonl")]):
        assert [row.where.removeprefix(f"{tmp_path}/") for row in read_rows(paths)] == places
    for path, code in (("none.jsonl", "E-DATA-020"), ("*.csv", "E-DATA-020"), ("notes.txt", "E-DATA-021")):
        with pytest.raises(DataError) as caught:
            list(read_rows([str(tmp_path / path)]))
        assert caught.value.code == code


def test_text_of_a_row() -> None:
    row = Row({"a": "x", "n": 1, "none": None}, "f:1")
    assert row.text("a") == "x"
    assert row.text("none", "") == row.text("missing", "") == ""
    for field, code in (("missing", "E-DATA-002"), ("none", "E-DATA-002"), ("n", "E-DATA-003")):
        with pytest.raises(RowError) as caught:
            row.text(field)
        assert caught.value.code == code


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200), suffix=st.sampled_from([".jsonl", ".json", ".jsonl.gz", ".json.gz"]))
def test_no_bytes_crash_the_reader(content: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows{suffix}"
    path.write_bytes(content)
    for row in read_rows([str(path)]):
        assert isinstance(row, (Row, BadRow))


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(rows=st.lists(st.dictionaries(st.text(), VALUES, max_size=4)), escaped=st.booleans())
def test_what_json_writes_is_read_back(rows: list[dict[str, Any]], escaped: bool) -> None:
    spelt = json.dumps(rows, ensure_ascii=escaped).encode()
    assert list(elements(spelt)) == rows
    assert [decode(json.dumps(row, ensure_ascii=escaped).encode()) for row in rows] == rows


@given(st.binary(max_size=60), st.data())
def test_a_damaged_array_fails_as_a_row_error(noise: bytes, data: st.DataObject) -> None:
    spelt = json.dumps([{"text": "é", "n": [1, {"m": None}]}] * 3, ensure_ascii=False).encode()
    at = data.draw(st.integers(0, len(spelt)))
    damaged = spelt[:at] + noise + spelt[at + len(noise) :]
    with contextlib.suppress(RowError):  # any other error fails the test
        for value in elements(damaged):
            assert isinstance(value, (RowError, dict, list, str, int, float, type(None)))
