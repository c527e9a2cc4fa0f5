"""Masking: a text, or a record's texts, without what the finders find."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

from itune_core.api import Drop, Failed, Record, Used
from itune_extensions import patterns

Kind = Literal["key", "email", "card", "phone"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""In the order in which they are looked for: a key may hold what looks like a number, a card's what a phone's does."""

TEXTS = ("task", "category", "rationale", "text")
JSON_TEXTS = ("tool_calls", "meta")
TURNS = ("messages", "prompt", "chosen", "rejected", "completion")


class Masker:
    """Replaces what it finds by a mask, again and again until it finds nothing.

    Args:
        kinds: what to look for.
        mask: what is put in its place; ``{kind}`` stands for ``EMAIL``, ``PHONE``, ``CARD`` or ``KEY``.
        regions: as in :func:`itune_extensions.patterns.phones`.

    Attributes:
        found: how many of each kind were masked, since it was last cleared.
    """

    def __init__(self, kinds: Sequence[Kind], mask: str, regions: Sequence[str]) -> None:
        finders: dict[Kind, Callable[[str], Iterable[patterns.Span]]] = {
            "key": patterns.keys,
            "email": patterns.emails,
            "card": patterns.cards,
            "phone": lambda text: patterns.phones(text, regions),
        }
        self._finders = [(kind, mask.replace("{kind}", kind.upper()), finders[kind]) for kind in KINDS if kind in kinds]
        self._keys = "key" in kinds
        self.found: Counter[str] = Counter()

    def text(self, text: str) -> str:
        """`text` without what was found; the very same object if nothing was."""
        before = None
        while before != text:  # a mask may part what stood together, and so bring another number to light
            before = text
            for kind, mask, find in self._finders:
                spans = list(find(text))
                for start, end in reversed(spans):
                    text = f"{text[:start]}{mask}{text[end:]}"
                self.found[kind] += len(spans)
        return text

    def json(self, text: str) -> str:
        """JSON text whose texts and numbers are masked; unchanged to the byte if nothing was found in it.

        A number that is masked becomes a text. What is not JSON is taken as plain text.
        """
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return self.text(text)
        masked = self._value(value)
        return text if masked == value else json.dumps(masked, ensure_ascii=False)

    def _value(self, value: Any, name: str = "") -> Any:
        if isinstance(value, str):
            if self._keys and patterns.is_secret(name, value):
                return self._key(value)
            return self.text(value)
        if isinstance(value, list):
            return [self._value(item, name) for item in value]
        if isinstance(value, dict):
            return {self.text(key): self._value(item, key) for key, item in value.items()}
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            masked = self.text(str(value))
            return value if masked == str(value) else masked
        return value

    def _key(self, value: str) -> str:
        mask = next(mask for kind, mask, _ in self._finders if kind == "key")
        if value == mask:
            return value
        self.found["key"] += 1
        return mask

    def outcome(self, outcome: Record | Used | Drop | Failed) -> Record | Used | Drop | Failed:
        """A record, or what else is said of a row, masked; the same object if nothing was found.

        `found` holds the counts of this one.
        """
        if isinstance(outcome, Record):
            return self.record(outcome)
        self.found.clear()
        if isinstance(outcome, (Drop, Used)):
            detail = self.text(outcome.detail)
            return outcome if detail == outcome.detail else replace(outcome, detail=detail)
        message = self.text(outcome.message)
        return outcome if message == outcome.message else replace(outcome, message=message)

    def record(self, record: Record) -> Record:
        """The record with every text of it masked, and the counts in its `meta`; the same object if nothing was found.

        Masked are the content, name and tool calls of every turn, the text, references, rationale, task, category and
        meta. Names of roles, of the source, of models, languages and licences are left alone.
        """
        self.found.clear()
        columns = {name: self._column(name, value) for name, value in record.items()}
        changed = {name: value for name, value in columns.items() if value != record[name]}
        if not changed:
            return record
        meta = _noted(columns["meta"], self.found)
        return record.replace(**changed | ({"meta": meta} if meta is not None else {}))

    def _column(self, name: str, value: Any) -> Any:
        if value is None:
            return None
        if name in TEXTS:
            return self.text(value)
        if name in JSON_TEXTS:
            return self.json(value)
        if name == "references":
            return [self.text(item) for item in value]
        if name in TURNS:
            return [self._turn(turn) for turn in value]
        if name == "candidates":
            return [{**item, "completion": self._column("completion", item["completion"])} for item in value]
        return value

    def _turn(self, turn: Mapping[str, Any]) -> dict[str, Any]:
        masks = {"content": self.text, "name": self.text, "tool_calls": self.json}
        return {**turn, **{name: mask(turn[name]) for name, mask in masks.items() if turn.get(name) is not None}}


def _noted(meta: str | None, found: Mapping[str, int]) -> str | None:
    """`meta` with ``"redacted": {kind: count}``; None if it is JSON of another form, which has no place for it."""
    try:
        value = json.loads(meta) if meta is not None else {}
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    counts = {kind: found[kind] for kind in KINDS if found[kind]}
    return json.dumps({**value, "redacted": counts}, ensure_ascii=False)
