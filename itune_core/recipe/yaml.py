"""YAML text to a tree of :class:`~itune_core.recipe.nodes.Node`: safe, strict, and with a line for everything.

Only PyYAML's event parser is used; nothing is ever constructed from a tag. Scalars follow the core schema of YAML 1.2:
``1e-4`` is a number, ``no`` is text, ``12:30`` is text (PyYAML, which follows YAML 1.1, reads text, false and 750).
Anchors and aliases are refused, so no text can unfold into more than it holds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import yaml

from itune_core.recipe import errors
from itune_core.recipe.errors import Problems
from itune_core.recipe.names import nearest
from itune_core.recipe.nodes import Node, Place, Scalar, shortened
from itune_core.recipe.nodes import Path as TreePath

MAX_BYTES = 256 * 1024
"""Largest recipe. Real ones are a hundredth of this; PyYAML reads this much in about two seconds."""

MAX_DEPTH = 40
"""Deepest nesting of lists and mappings."""

_INTEGER = re.compile(r"[-+]?[0-9]{1,4000}\Z|0x[0-9a-fA-F]{1,4000}\Z|0o[0-7]{1,4000}\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf"), float("inf")),
    "-.inf": float("-inf"),
    ".nan": float("nan"),
}


def scalar(text: str) -> Scalar:
    """The value of an unquoted scalar, by the core schema of YAML 1.2."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.match(text):
        return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
    if _FLOAT.match(text) and math.isfinite(number := float(text)):  # 1e999 is text rather than infinity
        return number
    return text


def read_file(file: Path, problems: Problems) -> Node | None:
    """The tree of a recipe's file, or None if it cannot be read as one (the problem is noted)."""
    start = Place(1, 1)
    try:
        size = file.stat().st_size
        content = file.read_bytes() if size <= MAX_BYTES else b""
    except OSError as error:
        others = sorted(path.name for path in file.parent.glob("*.y*ml")) if file.parent.is_dir() else []
        match = nearest(file.name, others)
        fix = f"did you mean {file.with_name(match)}?" if match else "name a recipe, or start with `itune init`"
        problems.add(errors.UNREADABLE, f"the recipe cannot be read: {error.strerror or error}", start, fix=fix)
        return None
    if size > MAX_BYTES:
        problems.add(
            errors.UNREADABLE,
            f"the recipe has {size} bytes; the most that is read is {MAX_BYTES}",
            start,
            fix="rows belong in data files, not in the recipe",
        )
        return None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problems.add(
            errors.UNREADABLE,
            f"the recipe is not UTF-8: byte {content[error.start]:#04x}",
            Place(line, 1),
            fix="save the file as UTF-8",
        )
        return None
    return read_text(text, problems)


def read_text(text: str, problems: Problems, origin: str | None = None) -> Node | None:
    """The tree of `text`, or None if it is not YAML (the problem is noted).

    Duplicate keys, tags, anchors and aliases are noted too, and reading goes on behind them.

    Args:
        text: one YAML document.
        problems: where mistakes are noted.
        origin: what the text was written in, if not in the recipe's file.
    """
    try:
        return _Reader(text, problems, origin).document()
    except _TooDeep as error:
        problems.add(
            errors.DEPTH, f"lists and mappings are nested more than {MAX_DEPTH} deep", error.place, error.path[:3]
        )
    except yaml.reader.ReaderError as error:
        before = text[: error.position] if isinstance(error.position, int) else ""
        place = Place(before.count("\n") + 1, len(before) - before.rfind("\n"), origin)
        problems.add(
            errors.SYNTAX, f"YAML does not allow the character U+{ord(text[len(before)]):04X}", place, fix="remove it"
        )
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(mark.line + 1, mark.column + 1, origin) if mark else Place(1, 1, origin)
        what, fix = _plain_words(error.problem or str(error))
        problems.add(errors.SYNTAX, what, place, fix=fix)
    return None


def _plain_words(problem: str) -> tuple[str, str | None]:
    """PyYAML's message as a sentence for somebody who does not know YAML's grammar, and what to do."""
    for part, what, fix in (
        ("'\\t'", "a tab is used where YAML allows only spaces", "indent with spaces"),
        ("mapping values are not allowed", "a second ': ' in one line", "quote the text that holds the colon"),
        ("expected <block end>", "the indentation does not match the lines above", "align keys of one mapping"),
        ("could not find expected ':'", "a key without ': ' after it", "write `key: value`, with a space"),
        ("expected ',' or '}'", "a '{' without its '}', or a ',' missing between two entries", None),
        ("expected ',' or ']'", "a '[' without its ']', or a ',' missing between two items", None),
        ("found unexpected end of stream", "a quote that is never closed", "close the quote"),
        ("cannot start any token", f"not YAML: {problem}", "quote the text that begins with this character"),
        ("but found another document", "a second document ('---')", "keep one recipe in a file"),
    ):
        if part in problem:
            return what, fix
    return f"not YAML: {problem}", None


class _TooDeep(Exception):
    """Stops the reading at once: the time PyYAML takes grows with the square of the depth."""

    def __init__(self, place: Place, path: TreePath) -> None:
        super().__init__(place, path)
        self.place, self.path = place, path


class _Reader:
    """Turns PyYAML's events into nodes. Recursion is bounded by :data:`MAX_DEPTH`."""

    def __init__(self, text: str, problems: Problems, origin: str | None) -> None:
        self.events: Iterator[yaml.Event] = yaml.parse(text, Loader=yaml.SafeLoader)
        self.problems = problems
        self.origin = origin
        self.anchor_noted = False

    def document(self) -> Node | None:
        next(self.events)  # the stream's start
        if not isinstance(next(self.events), yaml.DocumentStartEvent):
            return Node(None, Place(1, 1, self.origin))
        root = self.node(next(self.events), ())
        next(self.events)  # the document's end
        following = next(self.events)
        if isinstance(following, yaml.DocumentStartEvent):
            self.problems.add(
                errors.SYNTAX, "a second document ('---')", self.place(following), fix="keep one recipe in a file"
            )
        return root

    def place(self, event: yaml.Event) -> Place:
        mark = event.start_mark
        return Place(mark.line + 1, mark.column + 1, self.origin) if mark else Place(1, 1, self.origin)

    def node(self, event: yaml.Event, path: TreePath) -> Node:
        place = self.place(event)
        self.check(event, place, path)
        if len(path) > MAX_DEPTH:
            raise _TooDeep(place, path)
        if isinstance(event, yaml.ScalarEvent):
            quoted = event.style is not None
            return Node(event.value if quoted else scalar(event.value), place, event.value)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Node] = []
            while not isinstance(inner := next(self.events), yaml.SequenceEndEvent):
                items.append(self.node(inner, (*path, len(items))))
            return Node(items, place)
        if isinstance(event, yaml.MappingStartEvent):
            return Node(self.mapping(path), place)
        return Node(None, place)  # an alias, noted by check()

    def mapping(self, path: TreePath) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            at = self.place(event)
            if isinstance(event, yaml.ScalarEvent):
                self.check(event, at, path)
                key = event.value  # as written: `1: x` has the key "1"
            else:
                self.node(event, (*path, ""))
                key = ""
                if not isinstance(event, yaml.AliasEvent):
                    self.problems.add(
                        errors.SHAPE,
                        "a key must be text, not a list or mapping",
                        at,
                        path,
                        fix="quote a value that begins with { or [",
                    )
            node = self.node(next(self.events), (*path, key))
            if key in entries:
                first = entries[key].at.line
                self.problems.add(
                    errors.DUPLICATE_KEY,
                    f"the key {shortened(key)!r} is given twice, first in line {first} and again in line {at.line}",
                    at,
                    (*path, key),
                    fix="rename one of them, or remove it",
                )
            else:
                entries[key] = replace(node, key=at)
        return entries

    def check(self, event: yaml.Event, place: Place, path: TreePath) -> None:
        """Note what recipes do not allow: tags, anchors and aliases."""
        anchor = getattr(event, "anchor", None)
        if anchor is not None and not self.anchor_noted:
            self.anchor_noted = True  # one is enough: all of them are solved the same way
            sign = "*" if isinstance(event, yaml.AliasEvent) else "&"
            self.problems.add(
                errors.ANCHOR,
                f"recipes have no anchors and aliases: {sign}{shortened(anchor)}",
                place,
                path,
                fix='put the value under `vars` and write "${vars.NAME}" where it is wanted',
            )
        tag = getattr(event, "tag", None)
        if tag not in (None, "!"):
            shown = tag.replace("tag:yaml.org,2002:", "!!")
            self.problems.add(
                errors.TAG,
                f"recipes have no tags: {shortened(shown)}",
                place,
                path,
                expected="plain text, numbers, true or false, lists and mappings",
                fix="remove the tag; quote what must be text",
            )
