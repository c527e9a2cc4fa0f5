"""Plain text: a line a row, and a bad line spoils no other."""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itune_core.api import BadRow, Reading, Row, read_rows
from itune_core.api.reading import MAX_LINE


def seen(path: Path, encoding: str = "utf-8") -> list[str]:
    """The text of each line, or the code of what is wrong with it; places must count up."""
    rows = list(read_rows([str(path)], Reading(format="text", encoding=encoding)))
    assert [row.where for row in rows] == [f"{path}:{number}" for number in range(1, len(rows) + 1)]
    return [row.error.code if isinstance(row, BadRow) else row["text"] for row in rows]


def test_lines_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "some.words"
    path.write_bytes("\ufefffirst \r\n\n  한국어\tより\nlast".encode())
    assert seen(path) == ["first ", "", "  한국어\tより", "last"]


def test_bad_lines_fail_alone(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes(b"one\n\xff\nt\x00o\n" + b"x" * (MAX_LINE + 1) + b"\nlast\n")
    assert seen(path) == ["one", "E-DATA-009", "E-DATA-008", "E-DATA-004", "last"]


@pytest.mark.parametrize(("pack", "suffix"), [(gzip.compress, ".gz"), (bz2.compress, ".bz2")])
def test_compressed(tmp_path: Path, pack: object, suffix: str) -> None:
    path = tmp_path / f"lines.txt{suffix}"
    path.write_bytes(pack(b"one\ntwo\n"))  # type: ignore[operator]
    assert seen(path) == ["one", "two"]


def test_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes("질문\n답변\n".encode("cp949"))
    assert seen(path, "cp949") == ["질문", "답변"]
    assert seen(path) == ["E-DATA-009", "E-DATA-009"]


def test_an_empty_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "none.txt").touch()
    [row] = read_rows([str(tmp_path / "none.txt")], Reading(format="text"))
    assert isinstance(row, BadRow)
    assert row.error.code == "E-DATA-006"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00\r\n")), min_size=1))
def test_no_text_is_lost(tmp_path: Path, lines: list[str]) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes("\n".join([*lines, "end"]).removeprefix("\ufeff").encode())
    rows = [row for row in read_rows([str(path)], Reading(format="text")) if isinstance(row, Row)]
    assert "\n".join(row["text"] for row in rows) == "\n".join([*lines, "end"]).removeprefix("\ufeff").removeprefix(
        "\ufeff"
    )
