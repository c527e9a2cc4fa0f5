"""Parquet and Arrow: the values that JSON has, and a bad row is bad alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import BadRow, DataError, Reading, Row, read_rows
from itune_core.api.reading import find_files
from itune_core.api.reading.values import plain

pa = pytest.importorskip("pyarrow")

Seen = Callable[..., list[tuple[str, str]]]
Compress = dict[str, Callable[[bytes], bytes]]


def save(table: Any, path: Path, layout: str) -> str:
    """Write a table, in batches of a few rows."""
    from pyarrow.parquet import write_table

    if layout == "parquet":
        write_table(table, path, row_group_size=700)
        return str(path)
    opened = pa.ipc.new_file if layout == "file" else pa.ipc.new_stream
    with path.open("wb") as sink, opened(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=700)
    return str(path)


LAYOUTS = ["parquet", "file", "stream"]


def named(layout: str) -> str:
    return "rows.parquet" if layout == "parquet" else "rows.arrow"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_are_read_in_order(layout: str, tmp_path: Path) -> None:
    rows = [
        {"n": number, "text": f"나무 {number}", "turns": [{"role": "user"}] * (number % 3)} for number in range(2_000)
    ]
    path = save(pa.Table.from_pylist(rows), tmp_path / named(layout), layout)
    read = list(read_rows([path]))
    assert [dict(row) for row in read if isinstance(row, Row)] == rows
    assert [read[0].where, read[-1].where] == [f"{path}#0", f"{path}#1999"]
    some = list(read_rows([path], Reading(columns=["text"])))
    assert [dict(row) for row in some if isinstance(row, Row)] == [{"text": row["text"]} for row in rows]


TYPED = {
    "day": (date(2024, 2, 29), "2024-02-29"),
    "moment": (datetime(2024, 2, 29, 12, 30, 1, 5, tzinfo=UTC), "2024-02-29T12:30:01.000005+00:00"),
    "clock": (time(12, 30), "12:30:00"),
    "span": (timedelta(hours=1, milliseconds=1500), "PT3601.5S"),
    "price": (Decimal("1.10"), "1.10"),
    "nested": ([{"day": date(2024, 1, 1)}], [{"day": "2024-01-01"}]),
    "nothing": (None, None),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_typed_values_become_what_json_has(layout: str, tmp_path: Path) -> None:
    table = pa.Table.from_pylist([{name: value for name, (value, _) in TYPED.items()}])
    (row,) = read_rows([save(table, tmp_path / named(layout), layout)])
    assert isinstance(row, Row)
    assert dict(row) == {name: value for name, (_, value) in TYPED.items()}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_bytes_fail_their_row_and_say_their_column(layout: str, tmp_path: Path, seen: Seen) -> None:
    rows = [{"text": "a", "image": None}, {"text": "b", "image": b"\x89PNG"}, {"text": "c", "image": None}]
    path = save(pa.Table.from_pylist(rows), tmp_path / named(layout), layout)
    assert seen(path) == [("#0", "good"), ("#1", "E-DATA-018"), ("#2", "good")]
    bad = list(read_rows([path]))[1]
    assert isinstance(bad, BadRow)
    assert "column 'image' holds bytes" in bad.error.what
    assert "columns" in str(bad.error.fix)
    assert [code for _, code in seen(path, columns=["text"])] == ["good"] * 3


def test_a_value_that_python_cannot_hold_fails_its_row(tmp_path: Path, seen: Seen) -> None:
    far = pa.array([0, 10**15, 1], pa.int64()).cast(pa.timestamp("s"))
    wrong = pa.Array.from_buffers(
        pa.string(), 3, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0"), pa.py_buffer(b"a\xffc")]
    )
    for column in (far, wrong):
        path = save(pa.table({"x": column}), tmp_path / "rows.arrow", "stream")
        assert seen(path) == [("#0", "good"), ("#1", "E-DATA-019"), ("#2", "good")]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_damage_is_one_bad_row_after_all_before_it(layout: str, tmp_path: Path) -> None:
    rows = [{"text": f"{number * 7919 % 10007}"} for number in range(3_000)]
    path = tmp_path / named(layout)
    save(pa.Table.from_pylist(rows), path, layout)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    *good, last = read_rows([str(path)])
    assert [dict(row) for row in good if isinstance(row, Row)] == rows[: len(good)]
    assert len(good) >= (700 if layout == "stream" else 0)  # the others have their index at the end
    assert isinstance(last, BadRow)
    assert (last.error.code, last.where) == ("E-DATA-005", f"{path}#{len(good)}")


@pytest.mark.parametrize("suffix", [".gz", ".zst", ".bz2"])
def test_a_compressed_file_is_unpacked(suffix: str, tmp_path: Path, compress: Compress, seen: Seen) -> None:
    plain_path = tmp_path / "rows.parquet"
    save(pa.table({"text": ["a", "b"]}), plain_path, "parquet")
    path = tmp_path / f"rows.parquet{suffix}"
    path.write_bytes(compress[suffix](plain_path.read_bytes()))
    assert seen(str(path)) == [("#0", "good"), ("#1", "good")]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_columns_that_are_not_there_or_there_twice(layout: str, tmp_path: Path) -> None:
    path = save(pa.table({"text": ["a"]}), tmp_path / named(layout), layout)
    with pytest.raises(DataError) as caught:
        list(read_rows([path], Reading(columns=["txt"])))
    assert caught.value.code == "E-DATA-027"
    path = save(pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], ["x", "x"]), tmp_path / named(layout), layout)
    with pytest.raises(DataError) as caught:
        list(read_rows([path]))
    assert caught.value.code == "E-DATA-026"


def test_what_datasets_saves_is_read_in_its_order(tmp_path: Path) -> None:
    import datasets

    rows = [{"text": f"row {number}"} for number in range(60)]
    saved = datasets.Dataset.from_list(rows)
    folder = tmp_path / "saved"
    saved.save_to_disk(folder, num_shards=12)  # a sort by name would be right by chance only
    state = json.loads((folder / "state.json").read_text())
    state["_data_files"].reverse()
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "cache-0123.arrow").write_bytes(b"not of the data set")
    files = [path.name for path in find_files([str(folder)])]
    assert files == [item["filename"] for item in state["_data_files"]]
    read = [dict(row) for row in read_rows([str(folder)]) if isinstance(row, Row)]
    assert read == [dict(row) for row in datasets.load_from_disk(str(folder))]
    assert sorted(row["text"] for row in read) == sorted(row["text"] for row in rows)


def test_a_folder_of_several_data_sets_says_which(tmp_path: Path) -> None:
    import datasets

    one = datasets.Dataset.from_list([{"text": "a"}])
    datasets.DatasetDict({"train": one, "test": one}).save_to_disk(tmp_path / "both")
    with pytest.raises(DataError) as caught:
        find_files([str(tmp_path / "both")])
    assert caught.value.code == "E-DATA-028"
    assert "both/train" in str(caught.value.fix)
    assert len(find_files([str(tmp_path / "both" / "test")])) == 1


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.text()
        | st.binary()
        | st.decimals()
        | st.datetimes()
        | st.uuids(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
        max_leaves=6,
    )
)
def test_a_value_is_json_or_refused(value: Any) -> None:
    try:
        made = plain(value)
    except TypeError:
        return
    assert json.loads(json.dumps(made)) == made
