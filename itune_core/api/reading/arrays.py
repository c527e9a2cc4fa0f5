"""JSON files: one array of objects, or one object, read through a window that moves over the text.

An array may be of any length: what is held is a window, which grows only where an element does not fit into it, up to
:data:`~itune_core.api.reading.faults.MAX_LINE`. A file that is one object is one row, held as a whole.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from typing import Any

from itune_core.api.errors import RowError
from itune_core.api.reading.faults import MAX_LINE, broken, empty, too_long
from itune_core.api.reading.rows import BadRow, Row, object_row
from itune_core.api.reading.streams import DAMAGE
from itune_core.api.reading.strict_json import Unfinished, element, expected

MAX_OBJECT = 256 * 2**20
"""The longest file, in characters, that is read where it is one object."""

WINDOW = 2**18
"""Bytes read at a time."""

_SPACE = re.compile(r"[ \t\n\r]*")
_STRUCTURE = re.compile(r'\\.|["\[\]{},]', re.DOTALL)


class Window:
    """The part of a text that is held, and where reading stands in it.

    Args:
        stream: UTF-8; bytes that are not become what "surrogateescape" makes of them.

    Attributes:
        text: what is held.
        at: where reading stands in it.
        ended: whether `text` goes to the end of the file, or to where it cannot be read any further.
        damage: what kept the rest from being read.
        line, column: how many lines, and characters of the line it stands in, come before `text`.
    """

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self.text, self.at, self.line, self.column = "", 0, 0, 0
        self.ended = False
        self.damage: RowError | None = None

    def more(self) -> None:
        """Let go of what was passed and read on: as much again as is held, so that growing stays cheap."""
        passed = self.text[: self.at]
        lines = passed.count("\n")
        self.line += lines
        self.column = len(passed) - passed.rfind("\n") - 1 if lines else self.column + len(passed)
        rest, self.at = self.text[self.at :], 0
        try:
            part = self._stream.read1(max(WINDOW, len(rest)))
        except DAMAGE as error:
            part, self.damage = b"", broken(error)
        self.ended = not part
        self.text = rest + self._decoder.decode(part, self.ended)

    def peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            found = _SPACE.match(self.text, self.at)
            self.at = found.end() if found else self.at
            if self.at < len(self.text):
                return self.text[self.at]
            if self.ended:
                return ""
            self.more()

    def element(self, limit: int, encoding: str) -> Any | RowError:
        """The value that begins here, a :class:`RowError` if it is bad; reading then stands behind it.

        Raises:
            RowError: where its end cannot be told.
        """
        while True:
            try:
                value, end = element(
                    self.text, self.at, whole=self.ended, encoding=encoding, line=self.line, column=self.column
                )
            except Unfinished:
                if len(self.text) - self.at > limit:
                    return self._over(too_long(limit))
                self.more()
            except RowError as error:
                if isinstance(error.__cause__, RecursionError):
                    return self._over(error)
                raise
            else:
                long = end - self.at > limit
                self.at = end
                return too_long(limit) if long else value

    def _over(self, error: RowError) -> RowError:
        """Pass over a value that is not to be held, told by its brackets and quotes; `error` is given back.

        Raises:
            RowError: `error`, where the value does not end.
        """
        depth, quoted = 0, False
        while True:
            for found in _STRUCTURE.finditer(self.text, self.at):
                sign = found[0]
                if quoted or sign == '"':
                    quoted = quoted != (sign == '"')
                elif sign[0] == "\\":  # not JSON here; it ends nothing
                    continue
                elif sign in "[{":
                    depth += 1
                elif depth == 0:
                    self.at = found.start()
                    return error
                elif sign in "]}":
                    depth -= 1
            if self.ended:
                raise error
            held = len(self.text)
            self.at = held - (held - len(self.text.rstrip("\\"))) % 2  # half an escape is told with its other half
            self.more()

    def expected(self, what: str) -> RowError:
        """The error of a text that goes on as it must not."""
        return expected(what, self.text, self.at, self.line, self.column)


def json_file(stream: io.BufferedReader, name: str, encoding: str) -> Iterator[Row | BadRow]:
    """The rows of a JSON file; `where` is ``name#index``.

    Args:
        stream: UTF-8.
        name: the file, as it stands in `where`.
        encoding: what the file was read in, for messages.
    """
    window = Window(stream)
    first = window.peek()
    index = 0
    try:
        if first == "[":
            for value in _elements(window, encoding):
                yield _row(value, f"{name}#{index}")
                index += 1
        elif first == "{":
            yield _row(window.element(MAX_OBJECT, encoding), f"{name}#0")
            index = 1
            if window.peek():
                raise RowError(
                    "more follows the object that the file begins with",
                    "E-DATA-007",
                    why="a JSON file is one array of objects, or one object; with an object a line it is JSON Lines",
                    fix="set `reading: {format: jsonl}`",
                )
        elif first:
            raise RowError("expected an array of objects, or one object", "E-DATA-007")
        else:
            raise window.damage or empty()
    except RowError as error:
        yield BadRow(window.damage or error, f"{name}#{index}")


def _row(value: Any | RowError, where: str) -> Row | BadRow:
    return BadRow(value, where) if isinstance(value, RowError) else object_row(value, where)


def _elements(window: Window, encoding: str) -> Iterator[Any | RowError]:
    window.at += 1
    more = window.peek() != "]"
    while more:
        yield window.element(MAX_LINE, encoding)
        more = window.peek() == ","
        if more:
            window.at += 1
            window.peek()
    if window.peek() != "]":
        raise window.expected("Expecting ',' or ']'")
    window.at += 1
    if window.peek():
        raise window.expected("Extra data")
