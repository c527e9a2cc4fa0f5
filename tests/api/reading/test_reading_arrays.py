"""JSON files: one bad element takes no other with it, in whatever window it is read."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import BadRow, Row, read_rows
from itune_core.api.reading import MAX_LINE, arrays
from itune_core.api.reading.strict_json import decode

GOOD = b'{"text": "good"}'

Write = Callable[[str, bytes], str]
Seen = Callable[..., list[tuple[str, str]]]


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
    element: bytes, code: str, suffix: str, write: Write, seen: Seen
) -> None:
    path = write(f"rows{suffix}", b"\xef\xbb\xbf[\n" + b" ,\n".join([GOOD, element, GOOD]) + b"]\n")
    assert [(where.removeprefix("#"), what) for where, what in seen(path)] == [
        ("0", "good"),
        ("1", code),
        ("2", "good"),
    ]


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
        (b"7", ["E-DATA-007"]),
        (GOOD, ["good"]),
        (b" \n" + GOOD + b"\n", ["good"]),
        (GOOD[:-1], ["E-DATA-007"]),
        (GOOD + b"\n" + GOOD, ["good", "E-DATA-007"]),
    ],
)
def test_an_array_that_breaks_off(content: bytes, expected: list[str], write: Write, seen: Seen) -> None:
    assert [code for _, code in seen(write("rows.json", content))] == expected


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def elements(content: bytes, window: int = arrays.WINDOW) -> list[Row | BadRow]:
    """The rows of a JSON file that is read so many bytes at a time."""
    with patch.object(arrays, "WINDOW", window):
        return list(arrays.json_file(io.BufferedReader(io.BytesIO(content)), "f", "utf-8"))  # type: ignore[arg-type]


@given(rows=st.lists(st.dictionaries(st.text(), VALUES, max_size=4)), escaped=st.booleans(), window=st.integers(1, 40))
def test_what_json_writes_is_read_back(rows: list[dict[str, Any]], escaped: bool, window: int) -> None:
    spelt = json.dumps(rows, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    assert [dict(row) for row in elements(spelt, window) if isinstance(row, Row)] == rows
    assert [decode(json.dumps(row, ensure_ascii=escaped).encode()) for row in rows] == rows


@given(noise=st.binary(max_size=60), data=st.data(), window=st.integers(1, 80))
def test_a_damaged_array_reads_the_same_in_any_window(noise: bytes, data: st.DataObject, window: int) -> None:
    spelt = json.dumps([{"text": "\u00e9", "n": [1, {"m": None}]}] * 3, ensure_ascii=False).encode()
    at = data.draw(st.integers(0, len(spelt)))
    damaged = spelt[:at] + noise + spelt[at + len(noise) :]

    def told(rows: list[Row | BadRow]) -> list[Any]:
        return [repr(dict(row)) if isinstance(row, Row) else row.error.code for row in rows]

    assert told(elements(damaged, window)) == told(elements(damaged))


def test_the_place_of_a_mistake_is_told_in_the_file() -> None:
    content = b'[\n{"text": "a"},\n  {"text": bad}]'
    for window in (7, 2**18):
        *_, last = elements(content, window)
        assert isinstance(last, BadRow)
        assert last.error.what == "not JSON: Expecting value at line 3, column 12"


def test_an_element_over_the_limit_is_passed_over(write: Write, seen: Seen) -> None:
    brackets = b'"]}\\\\,{[\\""'  # in a text, none of them counts
    long = b'{"brackets": ' + brackets + b', "text": [{"a": "' + b"x" * MAX_LINE + b'"}]}'
    path = write("rows.json", b"[" + b",".join([GOOD, long, GOOD]) + b"]")
    assert seen(path) == [("#0", "good"), ("#1", "E-DATA-004"), ("#2", "good")]


def test_an_element_nested_too_deeply_is_passed_over(write: Write, seen: Seen) -> None:
    deep = b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    path = write("rows.json", b"[" + b",".join([GOOD, deep, GOOD]) + b"]")
    assert seen(path) == [("#0", "good"), ("#1", "E-DATA-007"), ("#2", "good")]


def test_an_object_a_line_is_told_to_be_json_lines(write: Write) -> None:
    *_, last = read_rows([write("rows.json", GOOD + b"\n" + GOOD)])
    assert isinstance(last, BadRow)
    assert "format: jsonl" in str(last.error)
