"""CSV and TSV: nothing is guessed, and a bad row is bad alone."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import DataError, Reading, Row, read_rows
from itune_core.api.reading import MAX_LINE
from itune_core.api.reading.tables import table

Write = Callable[[str, bytes], str]
Seen = Callable[..., list[tuple[str, str]]]


def values(path: str, **reading: Any) -> list[dict[str, Any]]:
    rows = list(read_rows([path], Reading(**reading)))
    assert all(isinstance(row, Row) for row in rows)
    return [dict(row) for row in rows if isinstance(row, Row)]


def test_fields_are_text_and_quotes_are_undone(write: Write) -> None:
    path = write("rows.csv", b'\xef\xbb\xbfa,b\r\n1,"x, ""y""\nz"\r\n,\r\n')
    assert values(path) == [{"a": "1", "b": 'x, "y"\nz'}, {"a": "", "b": ""}]


def test_the_place_is_the_line_that_a_row_begins_in(write: Write, seen: Seen) -> None:
    path = write("rows.csv", b'a,b\n"1\n2\n3",x\n\n4,y\n5\n6,z\n')
    assert seen(path) == [(":2", "good"), (":6", "good"), (":7", "E-DATA-015"), (":8", "good")]


BAD = {
    "too few fields": (b"1\n", "E-DATA-015"),
    "too many fields": (b"1,2,3\n", "E-DATA-015"),
    "a quote closed too early": (b'"1"2,3\n', "E-DATA-016"),
    "a NUL byte": (b"1,\x002\n", "E-DATA-008"),
    "not UTF-8": (b"1,\xff\n", "E-DATA-009"),
    "a field too long": (b"1," + b"x" * MAX_LINE + b"\n", "E-DATA-004"),
    "a quoted field too long": (b'1,"' + b"x,\n" * (MAX_LINE // 3) + b'"\n', "E-DATA-004"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_is_bad_alone(name: str, write: Write, seen: Seen) -> None:
    row, code = BAD[name]
    path = write("rows.csv", b"a,b\n1,2\n" + row + b"3,4\n")
    after = 4 + row.count(b"\n") - 1
    assert seen(path) == [(":2", "good"), (":3", code), (f":{after}", "good")]


def test_a_long_field_is_read_whole(write: Write) -> None:
    long = "x" * 1_000_000
    assert values(write("rows.csv", f"a,b\n1,{long}\n".encode())) == [{"a": "1", "b": long}]


@pytest.mark.parametrize("rest", [b"4,5\n6,7\n", b"x,y\n" * MAX_LINE])
def test_a_quote_never_closed_is_one_bad_row_after_all_before_it(rest: bytes, write: Write, seen: Seen) -> None:
    places = seen(write("rows.csv", b'a,b\n1,2\n2,3\n3,"' + rest))
    assert places[:2] == [(":2", "good"), (":3", "good")]
    assert [(place, code in ("E-DATA-016", "E-DATA-004")) for place, code in places[2:]] == [(":4", True)]


@pytest.mark.parametrize(
    ("content", "told"), [(b"a,a\n1,2\n", "'a' twice"), (b"a,\n1,2\n", "empty"), (b'"a\n1,2\n', "cannot be read")]
)
def test_a_bad_header_is_an_error_of_the_file(content: bytes, told: str, write: Write) -> None:
    path = write("rows.csv", content)
    with pytest.raises(DataError) as caught:
        list(read_rows([path]))
    assert caught.value.code == "E-DATA-026"
    assert told in caught.value.what
    assert caught.value.where == f"{path}:1"


def test_settings(write: Write, seen: Seen) -> None:
    bare = write("bare.csv", b"1;2\n3;4\n")
    assert values(bare, delimiter=";", header=["a", "b"]) == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    assert values(bare, delimiter=";", header=["a", "b"], columns=["b"]) == [{"b": "2"}, {"b": "4"}]
    assert seen(bare, delimiter=";", header=["a", "b"])[0] == (":1", "good")
    assert values(write("rows.tsv", b"a\tb\n1,2\t3\n")) == [{"a": "1,2", "b": "3"}]
    assert values(write("rows.txt", b"a|b\n1|2\n"), format="csv", delimiter="|") == [{"a": "1", "b": "2"}]
    with pytest.raises(DataError) as caught:
        values(write("rows.csv", b"a,b\n1,2\n"), columns=["c"])
    assert caught.value.code == "E-DATA-027"


@given(
    names=st.lists(st.text(min_size=1).filter(str.strip), min_size=2, max_size=4, unique=True),
    data=st.data(),
    delimiter=st.sampled_from(",;|\t"),
)
def test_what_the_csv_module_writes_is_read_back(names: list[str], data: st.DataObject, delimiter: str) -> None:
    cell = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
    names = [name.replace("\0", "0").encode("utf-8", "replace").decode() for name in names]
    if len(set(names)) != len(names):
        return
    rows = data.draw(st.lists(st.lists(cell, min_size=len(names), max_size=len(names))))
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([names, *rows])
    stream = io.BufferedReader(io.BytesIO(text.getvalue().encode()))  # type: ignore[arg-type]
    read = [dict(row) for row in table(stream, "f", "utf-8", delimiter) if isinstance(row, Row)]
    assert read == [dict(zip(names, row, strict=True)) for row in rows]


def test_real_tables(real: Path) -> None:
    assert len(values(str(real / "ko" / "chatbot_qa_500.csv"))) == 500
    header = ["question", "A", "B", "C", "D", "answer"]
    rows = values(str(real / "mmlu" / "*" / "*.csv"), header=header)
    assert len(rows) == 960
    assert {row["answer"] for row in rows} == set("ABCD")


def test_the_limit_on_fields_of_others_is_left_alone(tmp_path: Path) -> None:
    """It is the process's: a plugin's RECORD is read with it too, and a field of megabytes in there is damage."""
    before = csv.field_size_limit()
    (tmp_path / "rows.csv").write_text(f"a,b\n{'x' * (before + 1)},1\n", "utf-8")
    rows = read_rows([str(tmp_path / "rows.csv")])
    assert len(next(rows)["a"]) == before + 1  # type: ignore[index]
    assert csv.field_size_limit() == before
