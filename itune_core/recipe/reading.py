"""From the tree to the typed recipe: shapes, names and plain values; what is wrong is noted and left out."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from itune_core.plugins.catalog import GROUPS
from itune_core.recipe import errors
from itune_core.recipe.errors import Problems
from itune_core.recipe.names import NAME, RUN_NAME, listed, nearest, suggestion
from itune_core.recipe.nodes import Node
from itune_core.recipe.nodes import Path as TreePath
from itune_core.recipe.recipe import (
    FRAGMENT_KEYS,
    MAX_FAILED,
    PLUGIN_KEYS,
    RESERVED,
    STEP_KEYS,
    TOP_KEYS,
    VERSION,
    Axis,
    Part,
    Recipe,
)
from itune_core.recipe.references import check_axes_exist, put_matrix, put_vars

_VALUE_NAME = re.compile(r"[^\s,=\[\]]+\Z")


def read_recipe(file: Path, tree: Node, problems: Problems) -> Recipe | None:
    """The typed recipe of a tree; what is wrong is noted and left out. None if it is no mapping at all."""
    if not isinstance(tree.value, dict):
        problems.add(
            errors.SHAPE,
            "the recipe is empty" if tree.value is None else f"a recipe is a mapping, not {tree.describe()}",
            tree,
            expected="itune: 1, name: ..., steps: ...",
            fix="start with `itune init`",
        )
        return None
    entries = _known(tree, TOP_KEYS, (), "a recipe", problems)
    variables = _variables(entries.get("vars"), problems)
    root = Node(
        {key: node if key == "vars" else put_vars(node, variables, problems, (key,)) for key, node in entries.items()},
        tree.place,
    )
    check_axes_exist(root, problems)
    _version(root, problems)
    reader = _Section(root, problems)
    plugins = _plugins(root, problems)
    name = reader.scalar("name", text_name, required=True)
    return Recipe(
        file=file,
        name=name if name is not None else "",
        seed=reader.scalar("seed", seed_value) or 0,
        max_failed=_default(reader.scalar("max_failed", share_value), MAX_FAILED),
        vars={key: node.plain() for key, node in variables.items()},
        models={key: put_matrix(node, {}) for key, node in reader.names("models").items()},
        steps={
            key: _part(key, node, ("steps", key), STEP_KEYS, "a step", problems)
            for key, node in reader.names("steps", required=True).items()
        },
        matrix={key: _axis(key, node, problems) for key, node in reader.names("matrix").items()},
        extensions={
            key: put_matrix(node, {})
            for key, node in reader.section("extensions").items()
            if node.value is None or is_mapping(node, ("extensions", key), problems)
        },
        allow=_allow(plugins.get("allow"), problems),
        prefer=_prefer(plugins.get("prefer"), problems),
        root=root,
    )


def seed_value(node: Node) -> int:
    """A seed. Raises ValueError saying what was expected."""
    if type(node.value) is not int or not 0 <= node.value < 2**63:
        raise ValueError("a whole number from 0 to 2^63 - 1")
    return node.value


def share_value(node: Node) -> float:
    """A share of the rows. Raises ValueError saying what was expected."""
    if type(node.value) not in (int, float) or not 0 <= float(node.value) <= 1:  # type: ignore[arg-type]
        raise ValueError("a number from 0 to 1, such as 0.05")
    return float(node.value)  # type: ignore[arg-type]


def text_name(node: Node) -> str:
    """The recipe's name. Raises ValueError saying what was expected."""
    if not isinstance(node.value, str) or not RUN_NAME.match(node.value):
        raise ValueError("lower-case letters, digits, '-', '_' and '.', at most 64 of them")
    return node.value


def read_value(node: Node, path: TreePath, read: Callable[[Node], Any], problems: Problems) -> Any:
    """The value that `read` makes of a node, or None if it refuses (which is noted)."""
    try:
        return read(node)
    except ValueError as error:
        problems.add(errors.BAD_VALUE, f"{path[-1]} is {node.describe()}", node, path, expected=str(error))
        return None


class _Section:
    """Reads the sections of the top mapping."""

    def __init__(self, root: Node, problems: Problems) -> None:
        self.root = root
        self.problems = problems

    def scalar(self, key: str, read: Callable[[Node], Any], required: bool = False) -> Any:
        node = self.root.entries.get(key)
        if node is not None:
            return read_value(node, (key,), read, self.problems)
        if required:
            self.missing(key)
        return None

    def section(self, key: str, required: bool = False) -> dict[str, Node]:
        node = self.root.entries.get(key)
        if node is None or (node.value is None and not required):
            if required:
                self.missing(key)
            return {}
        return node.entries if is_mapping(node, (key,), self.problems) else {}

    def names(self, key: str, required: bool = False) -> dict[str, Node]:
        """A section whose keys are names."""
        entries = self.section(key, required)
        for name, node in entries.items():
            check_name(name, node, (key, name), self.problems)
        return entries

    def missing(self, key: str) -> None:
        self.problems.add(errors.MISSING_KEY, f"the recipe has no `{key}`", self.root, (), fix=f"add `{key}: ...`")


def check_name(name: str, at: Node, path: TreePath, problems: Problems) -> None:
    """Note a name that is not written as names are."""
    if not NAME.match(name):
        proposal = re.sub(r"[^a-z0-9_]+", "_", name.lower()).strip("_")
        problems.add(
            errors.BAD_NAME,
            f"{name!r} cannot be a name",
            at,
            path,
            expected="lower-case letters, digits and underscores, beginning with a letter",
            fix=f"call it {proposal!r}" if NAME.match(proposal) else None,
        )


def _default(value: Any, default: float) -> float:
    return default if value is None else float(value)


def is_mapping(node: Node, path: TreePath, problems: Problems) -> bool:
    """Whether it is one; if not, that is noted."""
    if isinstance(node.value, dict):
        return True
    problems.add(errors.SHAPE, f"`{path[-1]}` is {node.describe()}", node, path, expected="`key: value` lines")
    return False


def _known(node: Node, allowed: tuple[str, ...], path: TreePath, what: str, problems: Problems) -> dict[str, Node]:
    """The entries of a mapping whose keys are fixed; the others are noted.

    A misspelt key is taken for what was meant, so that one slip is one mistake and what stands under it is checked too.
    """
    entries = {key: value for key, value in node.entries.items() if key in allowed}
    for key, value in node.entries.items():
        if key in RESERVED:
            problems.add(
                errors.RESERVED_KEY, f"`{key}` is reserved, not built yet", value, (*path, key), fix="remove it"
            )
        elif key not in allowed:
            meant = nearest(key, allowed)
            if meant:
                entries.setdefault(meant, value)
            problems.add(
                errors.UNKNOWN_KEY,
                f"{what} has no key {key!r}",
                value,
                (*path, key),
                expected=listed(allowed),
                fix=suggestion(key, allowed, "settings of a component belong under `with`" if path else None),
            )
    return entries


def _version(root: Node, problems: Problems) -> None:
    node = root.entries.get("itune")
    if node is None:
        problems.add(errors.VERSION, "the recipe does not say its version", root, fix="add `itune: 1`")
    elif node.value != VERSION or isinstance(node.value, bool):
        problems.add(
            errors.VERSION,
            f"this itune reads recipes of version {VERSION}, not {node.describe()}",
            node,
            ("itune",),
            fix=f"write `itune: {VERSION}`, or install the itune that the recipe was written for",
        )


def _variables(node: Node | None, problems: Problems) -> dict[str, Node]:
    if node is None or node.value is None or not is_mapping(node, ("vars",), problems):
        return {}
    for name, value in node.entries.items():
        check_name(name, value, ("vars", name), problems)
        if _has_reference(value):
            problems.add(
                errors.BAD_REFERENCE,
                f"the variable {name!r} refers to something itself",
                value,
                ("vars", name),
                expected="a plain value",
                fix="write out the value; $${ stands for a plain ${",
            )
    return dict(node.entries)


def _has_reference(node: Node) -> bool:
    inner = [*node.items, *node.entries.values()]
    if isinstance(node.value, str):
        return "${" in node.value.replace("$${", "")
    return any(map(_has_reference, inner))


def _part(name: str, node: Node, path: TreePath, keys: tuple[str, ...], what: str, problems: Problems) -> Part:
    if not is_mapping(node, path, problems):
        return Part(name, path, node)
    entries = _known(node, keys, path, what, problems)
    settings = entries.get("with")
    if settings is not None and settings.value is not None and not is_mapping(settings, (*path, "with"), problems):
        settings = None
    return Part(
        name=name,
        path=path,
        node=node,
        uses=entries.get("uses"),
        inputs=entries.get("from"),
        settings=settings,
        seed=entries.get("seed"),
        max_failed=entries.get("max_failed"),
        variant=entries.get("variant") if "variant" in keys else None,
    )


def _axis(name: str, node: Node, problems: Problems) -> Axis:
    path: TreePath = ("matrix", name)
    if isinstance(node.value, dict) and node.value:
        parts: dict[str, Part] = {}
        values: dict[str, Node] = {}
        for key, inner in node.entries.items():
            check_name(key, inner, (*path, key), problems)
            empty = inner.value is None  # `base:` alone changes nothing, which is a fair variant
            shown = Node({}, inner.place, key=inner.key) if empty else inner
            parts[key] = _part(key, shown, (*path, key), FRAGMENT_KEYS, "a variant", problems)
            values[key] = Node(key, inner.place, key, inner.key)
        return Axis(name, node, values, parts)
    if not isinstance(node.value, list) or not node.value:
        problems.add(
            errors.BAD_AXIS,
            f"the axis {name!r} is {node.describe()}" if node.value else f"the axis {name!r} has no values",
            node,
            path,
            expected="a list of values, or a mapping from names to parts of a step",
            fix=f"write `{name}: [1, 2]` or `{name}: {{one: {{uses: ...}}, two: {{uses: ...}}}}`",
        )
        return Axis(name, node, {}, None)
    values = {}
    for index, item in enumerate(node.value):
        reason = _unfit(item, values)
        if reason:
            problems.add(errors.BAD_AXIS, reason, item, (*path, index), expected="different words or numbers")
        else:
            values[item.text] = item
    return Axis(name, node, values, None)


def _unfit(item: Node, earlier: Mapping[str, Node]) -> str | None:
    """Why a value cannot stand in an axis, or None."""
    if isinstance(item.value, (list, dict)) or item.value is None:
        return f"a value of an axis is {item.describe()}"
    if isinstance(item.value, float) and not math.isfinite(item.value):
        return f"{item.text} is not a value to vary along"
    if not _VALUE_NAME.match(item.text):
        return f"{item.describe()} cannot be part of a step's name: it is empty or has a space, comma, '=' or bracket"
    if item.text in earlier:
        return f"{item.text} stands in the axis twice"
    return None


def _plugins(root: Node, problems: Problems) -> dict[str, Node]:
    node = root.entries.get("plugins")
    if node is None or not is_mapping(node, ("plugins",), problems):
        return {}
    return _known(node, PLUGIN_KEYS, ("plugins",), "plugins", problems)


def _allow(node: Node | None, problems: Problems) -> tuple[str, ...]:
    if node is None:
        return ()
    if not isinstance(node.value, list) or not all(isinstance(item.value, str) for item in node.items):
        problems.add(
            errors.SHAPE,
            f"`allow` is {node.describe()}",
            node,
            ("plugins", "allow"),
            expected="a list of distributions: [acme-itune-pii]",
        )
        return ()
    return tuple(str(item.value) for item in node.items)


def _prefer(node: Node | None, problems: Problems) -> dict[str, str]:
    path: TreePath = ("plugins", "prefer")
    if node is None or not is_mapping(node, path, problems):
        return {}
    preferred = {}
    for label, item in node.entries.items():
        stage, slash, name = label.partition("/")
        if stage not in GROUPS or not slash or not name or not isinstance(item.value, str):
            problems.add(
                errors.SHAPE,
                f"`prefer` has {label!r}: {item.describe()}",
                item,
                (*path, label),
                expected="STAGE/COMPONENT and a distribution: {trainers/dpo: acme-itune-trainers}",
            )
        else:
            preferred[label] = item.value
    return preferred
