"""``--set steps.sft.with.learning_rate=1e-4``: one value of the recipe, changed from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from itune_core.recipe import errors
from itune_core.recipe.errors import Problems
from itune_core.recipe.names import listed, suggestion
from itune_core.recipe.nodes import Node, Place, shortened
from itune_core.recipe.yaml import read_text

_NAMED = frozenset({"vars", "models", "steps", "matrix"})
"""Sections whose keys are names: a name that is not there cannot be meant."""


def override(tree: Node, overrides: Sequence[str], problems: Problems) -> Node:
    """`tree` with each ``PATH=VALUE`` set, in order; the value is read as YAML.

    A path follows the keys of the recipe, a number picks an item of a list, and `with` is made where there is none.
    Whether the last key exists is for the reader of that place to say, as if it stood in the file.
    """
    for text in overrides:
        origin = f"--set {shortened(text, 120)}"
        place = Place(0, 0, origin)
        path, equals, value = text.partition("=")
        parts = path.strip().split(".")
        if not equals or not all(parts):
            problems.add(errors.BAD_OVERRIDE, "--set takes PATH=VALUE", place, expected="steps.sft.with.epochs=2")
            continue
        node = read_text(value, problems, origin)
        if node is not None:
            tree = _set(tree, parts, 0, replace(node, key=place), place, problems)
    return tree


def _set(node: Node, parts: list[str], depth: int, value: Node, place: Place, problems: Problems) -> Node:
    if depth == len(parts):
        return value
    part, last = parts[depth], depth == len(parts) - 1
    here = ".".join(parts[:depth])
    if isinstance(node.value, list) and part.isdecimal() and int(part) < len(node.value):
        items = list(node.value)
        items[int(part)] = _set(items[int(part)], parts, depth + 1, value, place, problems)
        return replace(node, value=items)
    if part == "with" and node.entries.get(part, Node(None, place)).value is None and isinstance(node.value, dict):
        inner: Node | None = Node({}, place, key=place)
    elif isinstance(node.value, dict):
        inner = node.entries.get(part)
    else:
        problems.add(
            errors.BAD_OVERRIDE,
            f"{here or 'the recipe'} is {node.describe()}; it has no {part!r}",
            place,
            tuple(parts[:depth]),
        )
        return node
    if inner is None and (not last or (depth == 1 and parts[0] in _NAMED)):
        problems.add(
            errors.BAD_OVERRIDE,
            f"{here or 'the recipe'} has no {part!r}",
            place,
            tuple(parts[: depth + 1]),
            expected=listed(node.entries),
            fix=suggestion(part, node.entries),
        )
        return node
    changed = value if inner is None else _set(inner, parts, depth + 1, value, place, problems)
    return replace(node, value={**node.entries, part: changed})
