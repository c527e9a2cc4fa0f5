"""Numbers for people, and JSON that is safe to look at."""

from __future__ import annotations

import json

import pytest

from itune_core.cli import terminal


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.04, "0.0 s"), (9.96, "10.0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations(value: float, text: str) -> None:
    assert terminal.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 B"), (999, "999 B"), (4213, "4.2 kB"), (271_000_000, "271 MB"), (3_200_000_000_000, "3.2 TB")],
)
def test_sizes(value: int, text: str) -> None:
    assert terminal.size(value) == text


def test_json_is_printed_unchanged_and_safe(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"text": "\x9b31m \x1b[0m \u202e Grüße", "rows": [1, None]}
    terminal.print_json(value)
    printed = capsys.readouterr().out
    assert json.loads(printed) == value
    assert "Grüße" in printed
    assert not {"\x9b", "\x1b", "\u202e"} & set(printed)


def test_tables_keep_whole_cells_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.print_table(["name", "n"], [["x" * 300, "1"], ["[red]\x1b[31m", "22"]], right=["n"])
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[1] == f"{'x' * 300}   1"
    assert lines[2].startswith(r"[red]\x1b[31m ")
