"""Sets of templates for one shape of task: several ways to ask the same, and some that turn the task around."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

from itune_core.api import DataError
from itune_formatters.tasks.template_files import read_yaml

Packaged = Literal[
    "classification",
    "completion",
    "data-to-text",
    "entailment",
    "paraphrase",
    "question",
    "reading",
    "summary",
    "translation",
]
"""The sets that come with the package."""

SLOT = re.compile(r"[a-z][a-z0-9_]*")
OPTIONS, RATIONALE, ANSWER = "options", "rationale", "answer"

Piece = tuple[str, str | None]
"""Literal text, and the slot that follows it."""


@dataclass(frozen=True)
class Wording:
    """One way to put a task.

    Attributes:
        input: paragraphs of the question; None: where the list of options goes.
        target: the answer.
        turned: it turns the task around: what is usually the answer is given, and something else is asked for.
    """

    input: tuple[tuple[Piece, ...] | None, ...]
    target: tuple[Piece, ...]
    turned: bool = False

    @property
    def slots(self) -> frozenset[str]:
        """The slots it fills."""
        pieces = (*(piece for part in self.input if part is not None for piece in part), *self.target)
        return frozenset(slot for _, slot in pieces if slot is not None)

    def question(self, values: Mapping[str, str], options: str | None = None) -> str:
        """The question.

        Args:
            values: text by slot.
            options: the list of options, put where the wording says, or at the end; None: it is not shown.
        """
        parts = [options if part is None else fill(part, values) for part in self.input]
        if options is not None and None not in self.input:
            parts.append(options)
        return "\n\n".join(part for part in parts if part is not None)


@dataclass(frozen=True)
class TemplateSet:
    """The wordings of one shape of task.

    Attributes:
        task: what the shape is called.
        slots: what every wording needs, besides options and rationale.
        wordings: in the order of the file.
    """

    task: str
    slots: frozenset[str]
    wordings: tuple[Wording, ...]


def fill(pieces: Sequence[Piece], values: Mapping[str, str]) -> str:
    """Text with its slots filled; what fills a slot is never read as a template."""
    return "".join(text + (values[slot] if slot is not None else "") for text, slot in pieces)


def packaged_set(name: Packaged) -> TemplateSet:
    """A set that comes with the package."""
    with resources.as_file(resources.files("itune_formatters.tasks") / "sets" / f"{name}.yaml") as path:
        return read_set(path)


def read_set(path: Path) -> TemplateSet:
    """The set of a file: ``task``, and ``templates``, a list of ``{input, target, turned}``.

    ``{name}`` is a slot and ``{{`` a brace. ``{options}`` stands in a paragraph of its own. All templates use the same
    slots; those that also use ``{rationale}`` serve rows that have one.

    Raises:
        DataError: ``E-FORMAT-072`` the file is none of these.
    """

    def bad(what: str) -> DataError:
        return DataError(
            "E-FORMAT-072",
            f"{path.name!r} is not a set of templates: {what}",
            where=str(path),
            fix="write `task: NAME` and `templates:`, a list of {input: TEXT, target: TEXT}",
        )

    content = read_yaml(path, "E-FORMAT-072")
    if not isinstance(content, dict) or not isinstance(content.get("task"), str):
        raise bad("it has no text `task`")
    templates = content.get("templates")
    if not isinstance(templates, list) or not templates:
        raise bad("it has no list `templates`")
    wordings = []
    for number, item in enumerate(templates):
        try:
            wordings.append(_wording(item))
        except ValueError as error:
            raise bad(f"templates[{number}]: {error}") from error
    slots = wordings[0].slots - {RATIONALE}
    for number, wording in enumerate(wordings):
        if wording.slots - {RATIONALE} != slots:
            uneven = ", ".join(sorted((wording.slots - {RATIONALE}) ^ slots))
            raise bad(f"templates[{number}] and templates[0] differ in their slots: {uneven}")
    if all(wording.turned for wording in wordings):
        raise bad("all templates turn the task around")
    return TemplateSet(content["task"], slots, tuple(wordings))


def _wording(item: Any) -> Wording:
    if not isinstance(item, dict) or not isinstance(item.get("input"), str) or not isinstance(item.get("target"), str):
        raise ValueError("it needs the texts `input` and `target`")
    unknown = sorted(map(str, item.keys() - {"input", "target", "turned"}))
    if unknown or not isinstance(item.get("turned", False), bool):
        raise ValueError(f"it has {', '.join(unknown)}" if unknown else "`turned` must be true or false")
    paragraphs = tuple(
        None if text == f"{{{OPTIONS}}}" else _pieces(text) for text in item["input"].strip("\n").split("\n\n")
    )
    wording = Wording(paragraphs, _pieces(item["target"].strip("\n")), item.get("turned", False))
    if OPTIONS in wording.slots or paragraphs.count(None) > 1:
        raise ValueError(f"{{{OPTIONS}}} may stand once, in a paragraph of its own, in `input`")
    if not any(slot for _, slot in wording.target):
        raise ValueError("its `target` has no slot")
    if RATIONALE in wording.slots and not wording.turned:
        raise ValueError("the rationale is put before the answer by itself; only a turned template may use it")
    return wording


def _pieces(text: str) -> tuple[Piece, ...]:
    found: list[Piece] = []
    for literal, slot, form, conversion in string.Formatter().parse(text):
        if slot is not None and (form or conversion or not SLOT.fullmatch(slot)):
            raise ValueError(f"{{{slot}}} is no slot: write a name of small letters in braces, and {{{{ for a brace")
        found.append((literal, slot))
    return tuple(found)


PACKAGED: tuple[str, ...] = get_args(Packaged)
