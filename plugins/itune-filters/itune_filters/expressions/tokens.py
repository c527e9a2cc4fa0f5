"""An expression's text in pieces."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

MAX_CHARACTERS = 1000
"""Longest expression."""

AROUND = 40
"""Characters shown on each side of a mistake."""

WORDS = ("and", "or", "not", "in")

_PIECE = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    |(?P<number>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)(?![A-Za-z0-9_.])
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*)
    |(?P<text>"(?:[^"\\\n]|\\["'\\nt])*"|'(?:[^'\\\n]|\\["'\\nt])*')
    |(?P<sign><=|>=|==|!=|[-+*/<>(),[\]])""",
    re.VERBOSE,
)
"""One piece. Every alternative can match in one way only, so that no text takes more than linear time."""

_ESCAPED = {"\\n": "\n", "\\t": "\t"}


class Token(NamedTuple):
    """A piece.

    Attributes:
        kind: ``number``, ``name``, ``text``, or, where it stands for itself, what it says; ``end`` after the last.
        text: as written.
        start: its place in the expression.
    """

    kind: str
    text: str
    start: int


class Mistake(ValueError):
    """What is wrong with an expression, and where: the place is marked ``>>>so<<<``.

    Args:
        what: what is wrong.
        source: the expression.
        start, end: the place.
    """

    def __init__(self, what: str, source: str, start: int, end: int) -> None:
        before, after = source[:start], source[end:]
        shown = "".join(
            (
                "... " if len(before) > AROUND else "",
                before[-AROUND:],
                f">>>{source[start : min(end, start + AROUND)]}<<<",
                after[:AROUND],
                " ..." if len(after) > AROUND else "",
            )
        )
        super().__init__(f"{what}; at character {start + 1}: {' '.join(shown.split())}")


def tokens(source: str) -> Iterator[Token]:
    """The pieces of `source`, and one of kind ``end``.

    Raises:
        Mistake: it is too long, or holds what no piece begins with.
    """
    if len(source) > MAX_CHARACTERS:
        raise Mistake(
            f"the expression has {len(source)} characters, at most {MAX_CHARACTERS} are allowed",
            source,
            MAX_CHARACTERS,
            len(source),
        )
    place = 0
    while place < len(source):
        found = _PIECE.match(source, place)
        if found is None:
            raise Mistake(_unknown(source, place), source, place, place + 1)
        kind, text = str(found.lastgroup), found[0]
        if kind == "sign" or text in WORDS:
            kind = text
        if kind != "space":
            yield Token(kind, text, place)
        place = found.end()
    yield Token("end", "", len(source))


def unquoted(text: str) -> str:
    """What a quoted text says."""
    return re.sub(r"\\.", lambda found: _ESCAPED.get(found[0], found[0][1]), text[1:-1])


def _unknown(source: str, place: int) -> str:
    character = source[place]
    if character in "\"'":
        return "a quoted text does not end on its line, or has an escape other than \\\\, \\', \\\", \\n and \\t"
    if character == "=":
        return "equality is written =="
    if character.isascii() and character.isdigit():
        return "this is not a number: digits, then perhaps a point with digits, an exponent"
    if not character.isascii():
        # a letter that looks like a Latin one, a sign that looks like a quote: the name tells what the eye does not
        return f"outside quotes there is no {unicodedata.name(character, f'U+{ord(character):04X}')}"
    return f"{character!r} means nothing here"
