"""``${vars.NAME}`` and ``${matrix.NAME}``: the only references inside a recipe's values.

A value that is one reference and nothing else takes the type of what it stands for; inside longer text the value is put
in as it was written. ``$${`` stands for a plain ``${``. (``env:`` and ``file:`` are the form of secrets; they are read
when used, not here.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from itune_core.recipe import errors
from itune_core.recipe.errors import Problems
from itune_core.recipe.names import listed, suggestion
from itune_core.recipe.nodes import Node, Path, shortened

_REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)(\}|\Z)")
_TARGET = re.compile(r"(vars|matrix)\.([A-Za-z0-9_-]+)\Z")


def put_vars(node: Node, variables: Mapping[str, Node], problems: Problems, path: Path = ()) -> Node:
    """`node` with every ``${vars.NAME}`` replaced; notes unknown variables and anything else in ``${...}``.

    References to the matrix stay, and so does ``$${``: :func:`put_matrix` deals with them.
    """
    return _replace(node, path, _Vars(variables, problems))


def put_matrix(node: Node, choice: Mapping[str, Node], path: Path = ()) -> Node:
    """`node` with every ``${matrix.NAME}`` replaced by the value of the axis in `choice`, and ``$${`` by ``${``.

    A reference to an axis that is not in `choice` stays as it is (it has been noted as a problem already).
    """
    return _replace(node, path, _Matrix(choice))


def axes_in(node: Node, path: Path = ()) -> Iterator[tuple[str, Node, Path]]:
    """Every reference to an axis in `node`: its name, the value it stands in, and where."""
    for key, item in enumerate(node.items):
        yield from axes_in(item, (*path, key))
    for name, item in node.entries.items():
        yield from axes_in(item, (*path, name))
    if isinstance(node.value, str):
        for match in _REFERENCE.finditer(node.value):
            target = _TARGET.match(match[1] or "")
            if target and target[1] == "matrix":
                yield target[2], node, path


def check_axes_exist(root: Node, problems: Problems) -> None:
    """Note references to axes that do not exist, and references where the matrix has no say.

    Args:
        root: the whole recipe.
        problems: where mistakes are noted.
    """
    matrix = root.entries.get("matrix")
    axes = matrix.entries if matrix else {}
    for section, node in root.entries.items():
        for axis, at, path in axes_in(node, (section,)) if section != "vars" else ():
            if axis not in axes:
                problems.add(
                    errors.UNKNOWN_REFERENCE,
                    f"the matrix has no axis {axis!r}",
                    at,
                    path,
                    expected=listed(axes, "there is no matrix"),
                    fix=suggestion(axis, axes, f"add `{axis}: [...]` under matrix"),
                )
            elif not _may_vary(path):
                problems.add(
                    errors.BAD_REFERENCE,
                    f"${{matrix.{axis}}} cannot stand here",
                    at,
                    path,
                    expected="a reference to the matrix under `with` or `seed` of a step",
                    fix=f"say `variant: {axis}` in the step, and give each value of the axis its own part of the step",
                )


def _may_vary(path: Path) -> bool:
    key = path[2:3] if path[0] == "steps" else path[3:4] if path[0] == "matrix" else ()
    return key in (("with",), ("seed",))


class _Vars:
    def __init__(self, variables: Mapping[str, Node], problems: Problems) -> None:
        self.variables = variables
        self.problems = problems

    def whole(self, match: re.Match[str], node: Node, path: Path) -> Node | None:
        target = self.find(match, node, path)
        return target.moved(node) if target else None

    def inside(self, match: re.Match[str], node: Node, path: Path) -> str:
        target = self.find(match, node, path)
        if target is None:
            return match[0]
        if isinstance(target.value, (list, dict)) or target.value is None:
            self.problems.add(
                errors.BAD_REFERENCE,
                f"{match[0]} is {target.describe()} and cannot be put into longer text",
                node,
                path,
                fix=f"give it one value, or make {match[0]} the whole value",
            )
            return match[0]
        return target.text

    def find(self, match: re.Match[str], node: Node, path: Path) -> Node | None:
        if match[0] == "$${":
            return None
        target = _TARGET.match(match[1])
        if target is None or not match[2]:
            self.problems.add(
                errors.BAD_REFERENCE,
                f"{shortened(match[0])!r} is not a reference",
                node,
                path,
                expected="${vars.NAME} or ${matrix.NAME}",
                fix="write $${ where a plain ${ is meant",
            )
            return None
        if target[1] == "matrix":
            return None
        if target[2] not in self.variables:
            self.problems.add(
                errors.UNKNOWN_REFERENCE,
                f"there is no variable {target[2]!r}",
                node,
                path,
                expected=listed(self.variables, "no variable is defined"),
                fix=suggestion(target[2], self.variables, f"add `{target[2]}: ...` under vars"),
            )
        return self.variables.get(target[2])


class _Matrix:
    def __init__(self, choice: Mapping[str, Node]) -> None:
        self.choice = choice

    def whole(self, match: re.Match[str], node: Node, path: Path) -> Node | None:
        target = self.find(match)
        return target.moved(node) if target else None

    def inside(self, match: re.Match[str], node: Node, path: Path) -> str:
        if match[0] == "$${":
            return "${"
        target = self.find(match)
        return match[0] if target is None else target.text

    def find(self, match: re.Match[str]) -> Node | None:
        target = _TARGET.match(match[1] or "")
        return self.choice.get(target[2]) if target and target[1] == "matrix" else None


def _replace(node: Node, path: Path, by: _Vars | _Matrix) -> Node:
    if isinstance(node.value, list):
        return replace(node, value=[_replace(item, (*path, index), by) for index, item in enumerate(node.value)])
    if isinstance(node.value, dict):
        return replace(node, value={key: _replace(item, (*path, key), by) for key, item in node.value.items()})
    if not isinstance(node.value, str) or "${" not in node.value:
        return node
    match = _REFERENCE.fullmatch(node.value)
    if match and match[0] != "$${":
        return by.whole(match, node, path) or node
    text = _REFERENCE.sub(lambda found: by.inside(found, node, path), node.value)
    return replace(node, value=text, text=text)
