"""YAML: a list of mappings, or several documents, read element by element from the parser's events.

Only what the safe loader knows is made. An alias must name something of its own row, since rows are let go of once they
are read; it counts as much as what it stands for, so that a few lines cannot spell more than a row may hold.
"""

from __future__ import annotations

import codecs
import io
import re
import secrets
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from itune_core.api.errors import RowError
from itune_core.api.reading.faults import MAX_LINE, broken, empty, given_twice, nul, too_long, undecodable
from itune_core.api.reading.rows import BadRow, Row, object_row
from itune_core.api.reading.streams import DAMAGE
from itune_core.api.reading.values import plain_row

DEPTH = 100
"""How deep a row may be nested."""

WORK = 10**8
"""What the parser may spend on the part of a row that is nested deeper: at each event as much as it is deep."""

NUMBER = 1000
"""The longest number, in characters: to make one of base 60 (``1:30:00``) takes the square of its length."""

_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")

_REFUSED = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters at which a YAML parser stops."""


def yaml_rows(stream: io.BufferedReader, name: str, encoding: str) -> Iterator[Row | BadRow]:
    """The rows of a YAML file; `where` is ``name:line``, the line that a row begins in.

    Args:
        stream: UTF-8.
        name: the file, as it stands in `where`.
        encoding: what the file was read in, for messages.
    """
    import yaml

    text = _Text(stream, encoding)
    line = 0
    try:
        for events in _elements(text):
            line = events[0].start_mark.line + 1
            yield _row(events, text, f"{name}:{line}")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = f"not YAML: {error.problem or error.context}"
        yield BadRow(RowError(what, "E-DATA-017"), f"{name}:{mark.line + 1 if mark else line + 1}")
    except RowError as error:
        yield BadRow(error, f"{name}:{line + 1}")
    except DAMAGE as error:
        yield BadRow(broken(error), f"{name}:{line + 1}")
    else:
        if not text.read_any:
            yield BadRow(empty(), f"{name}:0")


class _Text:
    """A file as the parser reads it, with a mark in the place of each character that would stop the parser.

    Attributes:
        read_any: whether the file holds anything.
        waited: bytes read since the parser last gave an event.
    """

    def __init__(self, stream: io.BufferedReader, encoding: str) -> None:
        self._stream, self._encoding = stream, encoding
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._mark = secrets.token_hex(16)  # what no row can know, no row can hold
        self.read_any = False
        self.waited = 0

    def read(self, size: int) -> bytes:
        """About so many bytes.

        Raises:
            RowError: ``E-DATA-004`` the parser has read the length of a row, and there is no end of it.
        """
        part = self._stream.read1(size)
        self.read_any = self.read_any or bool(part)
        self.waited += len(part)
        if self.waited > 2 * MAX_LINE:
            raise too_long()
        text = self._decoder.decode(part, not part)
        return _REFUSED.sub(lambda found: f"{self._mark}{ord(found[0]):04x}", text).encode()

    def check(self, value: str) -> None:
        """Raise the error of a text that holds what would have stopped the parser."""
        _, marked, rest = value.partition(self._mark)
        if marked:
            refused = int(rest[:4], 16)
            if 0xDC80 <= refused <= 0xDCFF:
                content = "".join(chr(int(part[:4], 16)) for part in value.split(self._mark)[1:4])
                raise undecodable(content.encode("utf-8", "surrogateescape"), 0, self._encoding)
            raise nul() if refused == 0 else RowError(f"holds the control character U+{refused:04X}", "E-DATA-017")


def _elements(text: _Text) -> Iterator[Sequence[Any]]:
    """The events of each row, at least one; of a row over the limit, those up to the limit, which then do not end.

    Raises:
        RowError: ``E-DATA-017`` a row is nested so deeply that its end is not looked for.
    """
    import yaml

    depth, size, spent = 0, 0, 0
    listed = False
    row: list[Any] = []
    stream: Any = text  # the stubs want a name for `size`
    for event in yaml.parse(stream, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        text.waited = 0
        if isinstance(event, yaml.DocumentStartEvent):
            depth, listed = 0, False
        elif isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
            if isinstance(event, yaml.SequenceStartEvent) and depth == 0 and not listed and not row:
                listed = True
                continue
            if isinstance(event, yaml.CollectionEndEvent) and depth == 0:
                continue  # of the list
            size += 1 + len(getattr(event, "value", ""))
            if size <= MAX_LINE or not row:
                row.append(event)
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > DEPTH:
                spent += depth
                if spent > WORK:
                    raise _too_deep()
            if depth == 0:
                if listed or not _is_nothing(row):
                    yield row
                row, size, spent = [], 0, 0


def _is_nothing(row: Sequence[Any]) -> bool:
    """Whether a document is empty."""
    first = row[0]
    return getattr(first, "value", None) == "" and first.implicit[0] and first.anchor is None


def _row(events: Sequence[Any], text: _Text, where: str) -> Row | BadRow:
    import yaml

    try:
        value = _Row(events, text).value()
    except RowError as error:
        return BadRow(error, where)
    except yaml.MarkedYAMLError as error:
        return BadRow(RowError(f"not a value: {error.problem or error.context}", "E-DATA-017"), where)
    except (ValueError, OverflowError) as error:  # the 31st of February, an integer of thousands of digits
        return BadRow(RowError("not a value", "E-DATA-017", why=str(error)), where)
    return plain_row(value, where) if isinstance(value, dict) else object_row(value, where)


class _Row:
    """Makes a value of a row's events."""

    def __init__(self, events: Sequence[Any], text: _Text) -> None:
        self._events = iter(events)
        self._text = text
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._size = 0
        self._maker = _maker()()  # of this row alone: one that stopped half-way would go on in the next row

    def value(self) -> Any:
        return self._maker.construct_document(self._node(next(self._events), 0))

    def _node(self, event: Any, depth: int) -> Any:
        import yaml

        before = self._size
        self._size += 1 + len(getattr(event, "value", ""))
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise RowError(f"the alias *{event.anchor} names nothing in its row", "E-DATA-017")
            node, size = self._anchors[event.anchor]
            self._size += size
            self._bounded(depth)
            return node
        self._bounded(depth)
        if isinstance(event, yaml.ScalarEvent):
            self._text.check(event.value)
            tag = self._tag(event, yaml.ScalarNode, event.value)
            if tag in _NUMBERS and len(event.value) > NUMBER:
                raise RowError(f"a number of more than {NUMBER} characters", "E-DATA-017", fix="quote it, as text")
            node = yaml.ScalarNode(tag, event.value)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = yaml.SequenceNode(self._tag(event, yaml.SequenceNode, None), [])
            while not isinstance(inner := self._next(), yaml.SequenceEndEvent):
                node.value.append(self._node(inner, depth + 1))
        else:
            node = yaml.MappingNode(self._tag(event, yaml.MappingNode, None), [])
            while not isinstance(inner := self._next(), yaml.MappingEndEvent):
                key = self._node(inner, depth + 1)
                node.value.append((key, self._node(self._next(), depth + 1)))
            keys = [str(key.value) for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            if len(set(keys)) != len(keys):
                raise given_twice(keys)
        if event.anchor:
            self._anchors[event.anchor] = node, self._size - before
        return node

    def _next(self) -> Any:
        try:
            return next(self._events)
        except StopIteration:
            raise too_long() from None  # cut off

    def _bounded(self, depth: int) -> None:
        if self._size > MAX_LINE:
            raise too_long()
        if depth > DEPTH:
            raise _too_deep()

    def _tag(self, event: Any, kind: Any, value: str | None) -> str:
        if event.tag is None or event.tag == "!":
            return str(self._maker.resolve(kind, value, event.implicit))
        return str(event.tag)


def _too_deep() -> RowError:
    return RowError("YAML is nested too deeply", "E-DATA-017")


@cache
def _maker() -> Any:
    """What knows the tags of plain scalars and makes values of nodes: the safe loader, without its parser."""
    from yaml.constructor import SafeConstructor
    from yaml.resolver import Resolver

    class Maker(SafeConstructor, Resolver):
        def __init__(self) -> None:
            SafeConstructor.__init__(self)
            Resolver.__init__(self)

    return Maker
