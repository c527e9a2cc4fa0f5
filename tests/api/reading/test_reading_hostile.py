"""Files made to do harm, and damaged ones: what is wrong in a row stays in it; nothing hangs or leaves its folder."""

from __future__ import annotations

import json
import struct
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow
import pytest

from itune_core.api.errors import DataError
from itune_core.api.reading import BadRow, find_files, read_rows
from itune_core.api.reading.strict_json import DEPTH


def read(path: Path, content: str | bytes) -> list[dict[str, Any] | str]:
    """The rows of a file with this content; of a bad one its code."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return [row.error.code if isinstance(row, BadRow) else dict(row) for row in read_rows([str(path)])]


def arrow(path: Path, **columns: Any) -> bytes:
    """An Arrow file of these columns."""
    table = pyarrow.table(columns)
    with pyarrow.OSFile(str(path), "wb") as file, pyarrow.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    return path.read_bytes()


def test_what_a_bad_yaml_row_left_unmade_does_not_spoil_the_next(tmp_path: Path) -> None:
    rows = "- {a: {b: !unknown 1}, c: !unknown 2}\n- {x: fine}\n- {y: fine}\n"
    assert read(tmp_path / "rows.yaml", rows) == ["E-DATA-017", {"x": "fine"}, {"y": "fine"}]


@pytest.mark.parametrize("key", ["1", "null", "true", "2020-01-01"])
def test_a_yaml_field_whose_name_is_no_text_is_a_bad_row(tmp_path: Path, key: str) -> None:
    assert read(tmp_path / "rows.yaml", f"- {{{key}: a, b: c}}\n- {{'{key}': a}}\n") == ["E-DATA-018", {key: "a"}]


@pytest.mark.parametrize("tag", ["", "!!int ", "!!float "])
def test_yaml_numbers_of_base_60_take_no_time_that_grows_with_their_square(tmp_path: Path, tag: str) -> None:
    long = "1" + ":1" * 1_500_000  # an hour's work, were it computed
    assert read(tmp_path / "rows.yaml", f"- {{a: {tag}{long}}}\n- {{a: 1:30}}\n") == ["E-DATA-017", {"a": 90}]


def test_yaml_that_opens_brackets_without_end_is_not_followed(tmp_path: Path) -> None:
    assert read(tmp_path / "rows.yaml", "- {a: 1}\n- " + "[" * 2_000_000) == [{"a": 1}, "E-DATA-017"]


@pytest.mark.parametrize("suffix", ["jsonl", "json"])
@pytest.mark.parametrize("brackets", ["[]", "{}"])
def test_json_is_bounded_in_depth_wherever_it_is_read_from(tmp_path: Path, suffix: str, brackets: str) -> None:
    opened, closed = ("[", "]") if brackets == "[]" else ('{"a":', "}")

    def row(depth: int) -> str:
        return f'{{"x": {opened * (depth - 1)}1{closed * (depth - 1)}}}'

    rows = [row(DEPTH), row(DEPTH + 1), row(900), '{"x": 1}', json.dumps({"x": [[]] * DEPTH * 2})]
    text = "\n".join(rows) if suffix == "jsonl" else f"[{','.join(rows)}]"

    def deeper(frames: int) -> list[dict[str, Any] | str]:
        return deeper(frames - 1) if frames else read(tmp_path / f"rows.{suffix}", text)

    for frames in (0, 400):  # who calls, and from how deep, makes no difference
        first, *others = deeper(frames)
        assert first == json.loads(rows[0])
        assert others == ["E-DATA-007", "E-DATA-007", {"x": 1}, {"x": [[]] * DEPTH * 2}]


@pytest.mark.parametrize("offsets", [(0, 5, 2_000_000_000, 15), (0, -50, 60, 15), (0, 12, 10, 15)])
@pytest.mark.parametrize("nested", [False, True])
def test_an_arrow_file_that_points_out_of_itself_is_damaged(
    tmp_path: Path, offsets: tuple[int, ...], nested: bool
) -> None:
    path = tmp_path / "rows.arrow"
    column = pyarrow.array(["hello", "world", "again"])
    if nested:
        column = pyarrow.ListArray.from_arrays(pyarrow.array([0, 1, 2, 3], pyarrow.int32()), column)
    whole = arrow(path, a=column)
    at = whole.index(struct.pack("<4i", 0, 5, 10, 15))
    assert read(path, whole[:at] + struct.pack("<4i", *offsets) + whole[at + 16 :]) == ["E-DATA-005"]


@pytest.mark.parametrize("shape", ["text", "list", "struct", "dictionary", "view", "large"])
def test_text_of_an_arrow_file_that_is_not_utf8_spoils_its_row_alone(tmp_path: Path, shape: str) -> None:
    spelt = pyarrow.array([b"one", b"\xff", b"two"])
    column: Any = spelt.view(pyarrow.string())
    ids = pyarrow.array([0, 1, 2], pyarrow.int32())
    match shape:
        case "list":
            column = pyarrow.ListArray.from_arrays(pyarrow.array([0, 1, 2, 3], pyarrow.int32()), column)
        case "struct":
            column = pyarrow.StructArray.from_arrays([column], ["inner"])
        case "dictionary":
            column = pyarrow.DictionaryArray.from_arrays(ids, column)
        case "view":
            column = spelt.cast(pyarrow.binary_view()).view(pyarrow.string_view())
        case "large":
            column = spelt.cast(pyarrow.large_binary()).view(pyarrow.large_string())
    path = tmp_path / "rows.arrow"
    first, second, third = read(path, arrow(path, a=column, n=ids))
    assert second == "E-DATA-019"
    assert isinstance(first, dict)
    assert isinstance(third, dict)
    assert (first["n"], third["n"]) == (0, 2)


@pytest.mark.parametrize(
    ("nanoseconds", "spelt"),
    [(1, "PT0.000000001S"), (0, "PT0S"), (-1_500_000_000, "PT-1.5S"), (10**11, "PT100S"), (1_000, "PT0.000001S")],
)
def test_durations_are_exact(tmp_path: Path, nanoseconds: int, spelt: str) -> None:
    path = tmp_path / "rows.arrow"
    column = pyarrow.array([nanoseconds], pyarrow.duration("ns"))
    assert read(path, arrow(path, a=column)) == [{"a": spelt}]


def test_durations_of_centuries_are_exact(tmp_path: Path) -> None:
    path = tmp_path / "rows.arrow"
    column = pyarrow.array([timedelta(days=200_000, microseconds=1)], pyarrow.duration("us"))
    assert read(path, arrow(path, a=column)) == [{"a": "PT17280000000.000001S"}]


@pytest.mark.parametrize("name", ["../rows.arrow", "/etc/passwd", "..", "", None, 7])
def test_a_saved_data_set_cannot_name_files_elsewhere(tmp_path: Path, name: object) -> None:
    (tmp_path / "rows.arrow").write_bytes(b"")
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "dataset_info.json").write_text("{}")
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))
    with pytest.raises(DataError, match="E-DATA-022"):
        find_files([str(folder)])


@pytest.mark.parametrize("content", ["[]", "7", '{"_data_files": 3, "splits": 3}', '{"_data_files": [], "splits": []}'])
@pytest.mark.parametrize("name", ["state.json", "dataset_dict.json"])
def test_what_stands_beside_a_saved_data_set_may_be_anything(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / "dataset_info.json").write_text("{}")
    (tmp_path / name).write_text(content)
    (tmp_path / "rows.jsonl").write_text("{}\n")
    if name == "dataset_dict.json":
        with pytest.raises(DataError, match="E-DATA-028"):
            find_files([str(tmp_path)])
    else:
        assert find_files([str(tmp_path)]) == [tmp_path / "rows.jsonl"]
