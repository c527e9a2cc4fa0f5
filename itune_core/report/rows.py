"""A row laid out for people: who says what, then the columns that hold something. Only plain text comes out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

SPOKEN = ("messages", "prompt", "chosen", "rejected", "completion")
"""Columns that hold messages."""

SHORT, FOLD, CUT = 60, 700, 6000
"""Characters above which a value gets lines of its own, is folded, and is not shown any further."""


class Text(NamedTuple):
    """A text as it is shown.

    Attributes:
        begin: all of it, or what is seen while it is folded.
        rest: what unfolding adds.
        left_out: how many characters are not shown at all.
    """

    begin: str
    rest: str = ""
    left_out: int = 0


class Turn(NamedTuple):
    """One message: its role, text, and whether anything is special about it."""

    role: str
    text: Text
    note: str = ""


class Part(NamedTuple):
    """A column that holds messages."""

    title: str
    turns: Sequence[Turn]


class LaidOut(NamedTuple):
    """One row.

    Attributes:
        id: its id.
        parts: its messages.
        texts: long columns by name.
        fields: short ones.
    """

    id: str
    parts: Sequence[Part]
    texts: Sequence[tuple[str, Text]]
    fields: Sequence[tuple[str, str]]


def lay_out(row: Mapping[str, Any]) -> LaidOut:
    """Lay out a record."""
    parts: list[Part] = []
    texts: list[tuple[str, Text]] = []
    rest: dict[str, Any] = {}
    for name, value in row.items():
        if value is None:  # a column that another kind of a mixed data set has
            continue
        if name in SPOKEN:
            parts.append(Part(name, _turns(value)))
        elif name == "candidates":
            parts += [Part(_candidate(number, one), _turns(one["completion"])) for number, one in enumerate(value, 1)]
        elif name == "references":
            texts += [("reference", text(one)) for one in value]
        elif name not in ("id", "kind"):
            rest[name] = value
    flat = lay_out_flat(rest)
    return LaidOut(row["id"], parts, [*texts, *flat.texts], flat.fields)


def lay_out_flat(row: Mapping[str, Any]) -> LaidOut:
    """Lay out a row of plain values, whatever they are called; those that are null or empty are left out."""
    texts: list[tuple[str, Text]] = []
    fields: list[tuple[str, str]] = []
    for name, value in row.items():
        if isinstance(value, str) and (len(value) > SHORT or "\n" in value):
            texts.append((name, text(value)))
        elif value is not None and value != []:
            fields.append((name, _short(value)))
    return LaidOut("", (), texts, fields)


def text(value: str) -> Text:
    """Fold a long text, between two words if it has any there, and leave out most of an endless one."""
    if len(value) <= FOLD:
        return Text(value)
    begin = value[: value.rfind(" ", FOLD - 60, FOLD)] if " " in value[FOLD - 60 : FOLD] else value[:FOLD]
    return Text(begin, value[len(begin) : CUT], max(0, len(value) - CUT))


def _turns(messages: Iterable[Mapping[str, Any]]) -> list[Turn]:
    turns = []
    for message in messages:
        notes = [f"name: {message['name']}"] if message.get("name") else []
        if message.get("train") is not None:
            notes.append("trained on" if message["train"] else "not trained on")
        turns.append(Turn(message["role"], text(message["content"] or ""), ", ".join(notes)))
        if message.get("tool_calls"):
            turns.append(Turn("tool calls", text(message["tool_calls"])))
    return turns


def _candidate(number: int, candidate: Mapping[str, Any]) -> str:
    facts = [f"candidate {number}"]
    facts += [f"{name} {_short(candidate[name])}" for name in ("model", "score") if candidate[name] is not None]
    return ", ".join(facts)


def _short(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.5g}"
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= 200 else f"{shown[:200]} ..."
