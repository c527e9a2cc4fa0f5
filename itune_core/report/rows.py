"""A row laid out for people: who says what, then the columns that hold something. Only plain text comes out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

SPOKEN = ("messages", "prompt", "chosen", "rejected", "completion")
"""Columns that hold messages."""

FOLD, CUT = 700, 6000
"""Characters above which a text is folded, and above which the rest is left out."""


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
    """Lay out a record, or a single result of an evaluator."""
    parts: list[Part] = []
    texts: list[tuple[str, Text]] = []
    fields: list[tuple[str, str]] = []
    for name, value in row.items():
        if name in ("id", "kind", "model") or value is None or value == []:
            continue
        if name in SPOKEN:
            parts.append(Part(name, _turns(value)))
        elif name == "candidates":
            parts += [Part(_candidate(number, one), _turns(one["completion"])) for number, one in enumerate(value, 1)]
        elif name == "references":
            texts += [("reference", text(one)) for one in value]
        elif isinstance(value, str) and (len(value) > 60 or "\n" in value):
            texts.append((name, text(value)))
        else:
            fields.append((name, _short(value)))
    return LaidOut(str(row.get("id", "")), parts, texts, fields)


def text(value: str) -> Text:
    """Fold a long text at a word, and leave out most of an endless one."""
    if len(value) <= FOLD:
        return Text(value)
    begin = value[:FOLD].rsplit(" ", 1)[0]
    return Text(begin, value[len(begin) : CUT], max(0, len(value) - CUT))


def _turns(messages: Iterable[Mapping[str, Any]]) -> list[Turn]:
    turns = []
    for message in messages:
        notes = [f"name: {message['name']}"] if message.get("name") else []
        notes += {True: ["trained on"], False: ["not trained on"]}.get(message.get("train"), [])  # type: ignore[call-overload]
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
