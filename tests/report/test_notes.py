"""Tables that observers leave: shown as they are, never obeyed, and never in the page's way."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import jinja2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itune_core.report import page
from itune_core.report.escapes import safe
from itune_core.report.notes import BYTES, ROWS, read_notes

GOOD = {"title": "Time", "columns": ["step", "seconds", "reused"], "rows": [["rows", 1.25, False], ["sft", None, True]]}


@pytest.fixture
def leave(tmp_path: Path) -> Any:
    def write(name: str, content: Any) -> Path:
        (tmp_path / "notes").mkdir(exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / "notes" / f"{name}.json").write_text(text, "utf-8")
        return tmp_path

    return write


def shown(run: Path) -> str:
    template = page._environment().from_string(
        '{% import "parts.html" as parts %}{% for note in notes %}{{ parts.note(note) }}{% endfor %}'
    )
    return template.render(notes=read_notes(run))


def test_without_notes_there_are_none(tmp_path: Path) -> None:
    assert read_notes(tmp_path) == []


def test_notes_are_tables_in_the_order_of_their_files(leave: Any) -> None:
    leave("b", GOOD)
    run = leave("a", {**GOOD, "title": "First"})
    assert [note.title for note in read_notes(run)] == ["First", "Time"]
    html = shown(run)
    assert html.count("<table") == 2
    assert '<td class="n">1.250</td>' in html
    assert "<td>yes</td>" in html
    assert "–" in html


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "Expecting"),
        ("[" * 100_000, "recursion"),
        ("9" * 5_000, "digits"),
        ([], "not an object"),
        ({"title": "x"}, "not an object"),
        ({**GOOD, "more": 1}, "not an object"),
        ({**GOOD, "title": 3}, "title"),
        ({**GOOD, "columns": []}, "columns"),
        ({**GOOD, "columns": "abc"}, "columns"),
        ({**GOOD, "rows": {}}, "rows"),
        ({**GOOD, "rows": [["one", 2, 3], ["short"]]}, "row 1"),
        ({**GOOD, "rows": [["one", [2], 3]]}, "row 0"),
        (" " * (BYTES + 1), "larger"),
    ],
)
def test_a_malformed_note_says_so_and_hides_no_other(leave: Any, content: Any, why: str) -> None:
    leave("bad", content)
    bad, good = read_notes(leave("good", GOOD))
    assert bad.title == "bad.json"
    assert why in str(bad.problem)
    assert good.problem is None
    html = shown(leave("good", GOOD))
    assert "this note cannot be shown" in html
    assert html.count("<table") == 1


def test_what_is_no_file_or_no_text_is_a_malformed_note(tmp_path: Path) -> None:
    (tmp_path / "notes" / "folder.json").mkdir(parents=True)
    (tmp_path / "notes" / "bytes.json").write_bytes(b"\xff\xfe")
    assert all(note.problem for note in read_notes(tmp_path))
    assert len(read_notes(tmp_path)) == 2


def test_an_endless_note_is_cut_and_the_rest_counted(leave: Any) -> None:
    run = leave("long", {"title": "Long", "columns": ["n"], "rows": [[n] for n in range(ROWS + 7)]})
    (note,) = read_notes(run)
    assert (len(note.rows), note.left_out) == (ROWS, 7)
    assert "7 more rows are not shown" in shown(run)


@given(text=st.text(string.printable + "<>&\"'\x1b\u202e\u2028", max_size=40), value=st.floats())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_nothing_in_a_note_is_obeyed(text: str, value: float, leave: Any) -> None:
    run = leave("any", {"title": text, "columns": [text, "n"], "rows": [[text, value]]})
    html = shown(run)
    assert safe(html) == html
    assert html.count("<td") == 2
    assert str(jinja2.filters.escape(safe(text))) in html


def test_the_page_shows_them(hostile: Any) -> None:
    folder = hostile.run.folder / "notes"
    folder.mkdir()
    try:
        (folder / "mine.json").write_text(json.dumps({**GOOD, "title": "<script>alert('note')</script>"}))
        html = page.render(hostile.run, hostile.store)
    finally:
        (folder / "mine.json").unlink()
        folder.rmdir()
    assert "<script>" not in html
    assert "&lt;script&gt;alert(&#39;note&#39;)" in html
