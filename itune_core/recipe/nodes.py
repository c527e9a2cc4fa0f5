"""The recipe's text as a tree in which every key and value knows where it stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

Scalar = str | int | float | bool | None
Path = tuple[str | int, ...]
"""Where a value stands in the tree: ``("steps", "sft", "with", "models", 0)``."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was written.

    Attributes:
        line, column: in the file, from 1.
        origin: what it was written in, if that is not the file: ``--set steps.sft.seed=3``.
    """

    line: int
    column: int
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """One value of the recipe.

    Attributes:
        value: a scalar, a list of nodes, or nodes by key.
        place: where it starts.
        text: a scalar as it was written; empty for the others.
        key: where its key stands, if it is the value of a mapping.
    """

    value: Scalar | list[Node] | dict[str, Node]
    place: Place
    text: str = ""
    key: Place | None = None

    @property
    def at(self) -> Place:
        """The place to show a person: the key's, if there is one."""
        return self.key or self.place

    @property
    def items(self) -> list[Node]:
        """Its items, if it is a list; else none."""
        return self.value if isinstance(self.value, list) else []

    @property
    def entries(self) -> dict[str, Node]:
        """Its values by key, if it is a mapping; else none."""
        return self.value if isinstance(self.value, dict) else {}

    def plain(self) -> Any:
        """Its value as plain Python data."""
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        if isinstance(self.value, dict):
            return {key: item.plain() for key, item in self.value.items()}
        return self.value

    def moved(self, to: Node) -> Node:
        """This value, standing where `to` stands: what a reference becomes."""
        return replace(self, place=to.place, key=to.key)

    def nearest(self, path: Path) -> Node:
        """The node at `path`, or the deepest one on the way to it."""
        node = self
        for part in path:
            if isinstance(part, int) and part < len(node.items):
                node = node.items[part]
            elif isinstance(part, str) and part in node.entries:
                node = node.entries[part]
            else:
                break
        return node

    def describe(self) -> str:
        """What it is, for an error message: ``the text 'abc'``, ``a list of 3``."""
        if isinstance(self.value, list):
            return f"a list of {len(self.value)}"
        if isinstance(self.value, dict):
            return "a mapping"
        if self.value is None:
            return "nothing"
        if isinstance(self.value, str):
            return f"the text {shortened(self.value)!r}"
        return f"{self.text or self.value}"


def shortened(text: str, width: int = 60) -> str:
    """`text`, cut to `width` characters for a message."""
    return text if len(text) <= width else text[: width - 1] + "…"


def dotted(path: Sequence[str | int]) -> str:
    """A path as people write it: ``steps.loss.with.models[0]``."""
    out = ""
    for part in path:
        out += f"[{part}]" if isinstance(part, int) else f".{part}" if out else part
    return out
