"""The typed recipe: what the YAML says, with its shape checked and nothing looked up yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from itune_core.recipe.nodes import Node
from itune_core.recipe.nodes import Path as TreePath

VERSION = 1
MAX_FAILED = 0.05

TOP_KEYS = ("itune", "name", "seed", "vars", "models", "steps", "matrix", "extensions", "plugins", "max_failed")
STEP_KEYS = ("uses", "from", "with", "variant", "seed", "max_failed")
PLUGIN_KEYS = ("allow", "prefer")
FRAGMENT_KEYS = ("uses", "from", "with", "seed", "max_failed")
RESERVED = ("repeat", "include", "when", "launch", "executor", "resources")


@dataclass(frozen=True)
class Part:
    """A step, or the part of one that a matrix axis adds: each key's value as it stands in the recipe, or None.

    Attributes:
        name: the step's name, or the name of the axis' value.
        path: where it stands.
        node: the mapping itself.
        borrowed: where keys stand that came from elsewhere, a matrix axis.
        uses, inputs, settings, seed, max_failed, variant: values of the keys `uses`, `from`, `with`, ...
    """

    name: str
    path: TreePath
    node: Node
    uses: Node | None = None
    inputs: Node | None = None
    settings: Node | None = None
    seed: Node | None = None
    max_failed: Node | None = None
    variant: Node | None = None
    borrowed: Mapping[TreePath, TreePath] = field(default_factory=dict)

    @property
    def axis(self) -> str | None:
        """The axis that `variant` names, if it is a name at all."""
        return self.variant.value if self.variant and isinstance(self.variant.value, str) else None

    def where(self, *place: str | int) -> TreePath:
        """The path in the recipe of a key of this part."""
        for length in (2, 1):
            if place[:length] in self.borrowed:
                return (*self.borrowed[place[:length]], *place)
        return (*self.path, *place)


@dataclass(frozen=True)
class Axis:
    """One axis of the matrix.

    Attributes:
        values: each value by the name it has in a variant's name, in order. What ``${matrix.NAME}`` stands for.
        parts: what each value adds to a step that says ``variant: NAME``; None for an axis that is a plain list.
    """

    name: str
    node: Node
    values: Mapping[str, Node]
    parts: Mapping[str, Part] | None


@dataclass(frozen=True)
class Recipe:
    """A recipe whose shape is right.

    Attributes:
        file: the YAML file; relative paths in it start at its folder.
        name, seed, max_failed: as given, or the defaults (seed 0, max_failed 0.05).
        vars: variables, after ``--set``.
        models: the mapping of each entry under `models`.
        steps: in the order of the file.
        matrix: axes, in the order of the file.
        extensions: settings by extension.
        allow: distributions that plugins may come from, besides the first-party ones.
        prefer: label (``trainers/dpo``) to the distribution it is taken from, where several publish it.
        root: the whole tree, after ``--set`` and with variables put in.
    """

    file: Path
    name: str
    seed: int
    max_failed: float
    vars: Mapping[str, Any]
    models: Mapping[str, Node]
    steps: Mapping[str, Part]
    matrix: Mapping[str, Axis]
    extensions: Mapping[str, Node]
    allow: tuple[str, ...]
    prefer: Mapping[str, str]
    root: Node
