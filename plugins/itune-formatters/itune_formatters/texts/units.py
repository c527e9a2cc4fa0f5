"""Lines of plain text to units: paragraphs, articles, documents, chunks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Literal

from itune_core.api import BadRow, Row, RowError

Unit = Literal["line", "paragraph", "article", "document"]

HEADING = re.compile(r" ?= [^=\s].*[^=\s] = ?| ?= [^=\s] = ?")
"""A heading of the first level as WikiText writes it, `` = Title = ``; a lower one has more signs."""

LONGEST = 4 * 2**20
"""The longest unit, in characters. A longer one fails; of its text no more is held in memory."""

Line = Row | BadRow


def units(lines: Iterable[Line], unit: Unit, most: int | None) -> Iterator[Row | BadRow]:
    """Units of text as ``{"text": ...}``; `where` is the file and line each begins at.

    Lines of a unit are joined by line feeds, blank lines at its ends left out. A unit with a line that cannot be read
    is a bad row at that line. Files are not joined.

    Args:
        lines: every line of the files, the blank ones too.
        unit: what a row is. line: each that is not blank; paragraph: lines up to a blank one; article: from a heading
            of the first level to the next; document: a file.
        most: put paragraphs of an article or a document together up to so many characters, and make a row of each such
            chunk; a longer paragraph stays whole. None: the whole is one row.
    """
    for _, file in groupby(lines, key=lambda line: line.where.rpartition(":")[0]):
        if unit == "line":
            yield from (line for line in file if isinstance(line, BadRow) or not _blank(line))
        elif unit == "paragraph":
            yield from _joined(file, _blank, keep=False)
        elif most is None:
            yield from _joined(file, _starts(unit), keep=True)
        else:
            yield from _chunks(file, _starts(unit), most)


def _blank(line: Line) -> bool:
    return isinstance(line, Row) and not line["text"].strip()


def _starts(unit: Unit) -> Callable[[Line], bool]:
    """Whether a new unit begins with a line."""
    if unit == "document":
        return lambda line: False
    return lambda line: isinstance(line, Row) and HEADING.fullmatch(line["text"].rstrip()) is not None


def _joined(lines: Iterable[Line], border: Callable[[Line], bool], *, keep: bool) -> Iterator[Row | BadRow]:
    """Lines between borders, joined; a border belongs to what follows it if it is kept, else to nothing."""
    found = Gathered()
    for line in lines:
        if border(line):
            yield from found.given()
            found = Gathered()
            if not keep:
                continue
        found.add(line)
    yield from found.given()


def _chunks(lines: Iterable[Line], border: Callable[[Line], bool], most: int) -> Iterator[Row | BadRow]:
    """Paragraphs between borders, put together up to `most` characters."""
    chunk, paragraph = Gathered(), Gathered()
    for line in lines:
        starts = border(line)
        if starts or _blank(line):
            yield from chunk.take(paragraph, most)
            paragraph = Gathered()
        if starts:
            yield from chunk.given()
            chunk = Gathered()
        if not _blank(line):
            paragraph.add(line)
    yield from chunk.take(paragraph, most)
    yield from chunk.given()


class Gathered:
    """Lines that become one row. `size` counts the characters of each and the line feed after it."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self.where: str | None = None
        self.error: BadRow | None = None
        self.lines: list[str] = []
        self.size = 0
        self.blank = 0

    def add(self, line: Line) -> None:
        if self.error is not None:
            return
        if isinstance(line, BadRow):
            self.error, self.lines = line, []
        elif _blank(line):
            self.blank += self.where is not None
        else:
            self.where = self.where or line.where
            gap = [""] * self.blank
            self.lines += [*gap, line["text"]]
            self.size += len(line["text"]) + len(gap) + 1
            self.blank = 0
            if self.size > LONGEST:
                error = RowError(
                    f"the text is longer than {LONGEST} characters",
                    "E-FORMAT-050",
                    fix="make it smaller units: unit: paragraph, or set max_characters",
                )
                self.error, self.lines = BadRow(error, self.where), []

    def take(self, paragraph: Gathered, most: int) -> Iterator[Row | BadRow]:
        """Take up a paragraph, after a blank line; first give what is held if both would be longer than `most`."""
        if paragraph.error is not None:
            yield from self.given()
            self._clear()
            yield paragraph.error
            return
        if not paragraph.lines:
            return
        if self.lines and self.size + paragraph.size > most:
            yield from self.given()
            self._clear()
        self.where = self.where or paragraph.where
        gap = [""] if self.lines else []
        self.lines += [*gap, *paragraph.lines]
        self.size += paragraph.size + len(gap)

    def given(self) -> Iterator[Row | BadRow]:
        """The row; none if there were no lines."""
        if self.error is not None:
            yield self.error
        elif self.where is not None and self.lines:
            yield Row({"text": "\n".join(self.lines)}, self.where)
