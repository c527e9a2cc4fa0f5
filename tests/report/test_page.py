"""The page of a run: whole, self-contained, and never code because a row says so."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from itune_core.engine.runs import RunRecord
from itune_core.report import write_report
from itune_core.report.escapes import safe
from itune_core.report.page import render

VOID = {"meta", "br", "hr", "img", "input", "link", "path", "rect", "polyline"}


class Page(HTMLParser):
    """What a browser would make of a page: elements, attributes, text; and whether every element is closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == [], "elements left open"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def html(hostile: Any) -> Iterator[str]:
    """The page with so many rows that each text is among them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("itune_core.report.page.ROWS", 100)
        yield render(hostile.run, hostile.store)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_rows_add_no_element_and_no_handler(page: Page) -> None:
    assert not {"script", "img", "iframe", "object", "embed", "link", "form", "base"} & page.elements.keys()
    assert [found for found in page.attributes if found[1].startswith("on")] == []
    assert {value[0] for tag, name, value in page.attributes if name == "href"} == {"#"}
    assert {name for _, name, _ in page.attributes} >= {"dir"}
    assert not [
        value for _, name, value in page.attributes if name == "style" and not re.fullmatch(r"[a-z0-9:.-]+", value)
    ]


def test_it_fetches_nothing(html: str, page: Page) -> None:
    assert ("meta", "http-equiv", "Content-Security-Policy") in page.attributes
    assert ("meta", "content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes
    assert not [found for found in page.attributes if found[1] in ("src", "srcset", "action", "xlink:href")]
    style = html[html.index("<style>") : html.index("</style>")]
    assert "@import" not in style
    assert "url(" not in style


def test_row_text_stands_there_as_text(page: Page, hostile: Any) -> None:
    shown = re.sub(r"\s+", " ", page.text)
    assert "<script>alert('row')</script>" in shown
    assert "{{ 7*7 }} {% raw %}" in shown
    assert " 49 " not in shown
    assert "<script>alert('recipe')</script>" in shown


def test_nothing_in_it_acts_unseen(html: str) -> None:
    assert safe(html) == html


def test_hidden_characters_are_spelled_out(page: Page) -> None:
    assert r"\x1b[31mred" in page.text
    assert r"\u202eevil.exe" in page.text


def test_an_endless_text_is_folded_and_cut_and_the_rest_counted(page: Page) -> None:
    longest = max(re.findall("x+", page.text), key=len)
    assert len(longest) < 6000
    assert "44,003 more characters are not shown" in page.text


def test_every_step_has_its_place_and_its_books(page: Page, hostile: Any) -> None:
    steps = hostile.run.data["steps"]
    identities = [value for tag, name, value in page.attributes if (tag, name) == ("article", "id")]
    assert len(identities) == len(set(identities)) == len(steps)
    links = {value for tag, name, value in page.attributes if (tag, name) == ("a", "href")}
    assert links == {f"#{identity}" for identity in identities}
    for step in steps.values():
        assert step["component"] in page.text
        assert step["key"] in page.text
    assert page.elements["polyline"] >= 3  # curves of the training
    assert page.elements["rect"] > len(steps)  # histogram bars besides the boxes of the chain


def test_each_model_has_its_column(html: str) -> None:
    head = re.search(r"<th>figure</th>(.*?)</tr>", html)
    assert head is not None
    assert re.findall(r">([a-z]+)</th>", head[1]) == ["tiny", "sft"]


def test_what_was_removed_is_left_out_and_said(hostile: Any, tmp_path: Path) -> None:
    folder = tmp_path / "home"
    shutil.copytree(hostile.store.home.root, folder)
    home = type(hostile.store.home)(folder)
    store = type(hostile.store)(home)
    run = RunRecord(home.runs / hostile.run.name, hostile.run.data)
    for step in ("rows", "sft", "loss"):
        store.remove(run.artifact(store, step))
    page = Page(render(run, store))
    assert page.text.count("its artifact was removed from the store") == 3
    assert "first 3 of" not in page.text  # every data set is made of the removed rows
    for artifact in list(store.all()):
        store.remove(artifact)
    assert Page(render(run, store)).text.count("its artifact was removed") == len(run.data["steps"])


def test_it_is_written_where_it_should_be(hostile: Any, tmp_path: Path) -> None:
    assert write_report(hostile.run, hostile.store) == hostile.run.folder / "report.html"
    there = write_report(hostile.run, hostile.store, tmp_path / "new" / "page.html")
    assert there.read_text("utf-8").startswith("<!DOCTYPE html>")
