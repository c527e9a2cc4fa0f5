"""The matrix: along which axes a step itself varies, and what it looks like in each variant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product

from itune_core.recipe import errors
from itune_core.recipe.errors import Problems
from itune_core.recipe.names import listed, suggestion
from itune_core.recipe.nodes import Node
from itune_core.recipe.nodes import Path as TreePath
from itune_core.recipe.recipe import Axis, Part, Recipe
from itune_core.recipe.references import axes_in, put_matrix

Choice = Mapping[str, str]
"""Axis to the name of its value."""


def own_axes(step: Part, recipe: Recipe, problems: Problems) -> tuple[str, ...]:
    """Axes along which a step varies by itself, in the order of the matrix: that of `variant:`, and those it refers to.

    Notes a `variant:` that names no axis, and one that would make all variants equal.
    """
    declared = _declared(step, recipe, problems)
    axis = recipe.matrix.get(declared) if declared else None
    parts = [step, *(axis.parts.values() if axis and axis.parts else ())]
    values = [value for part in parts for value in (part.settings, part.seed) if value is not None]
    used = {name for value in values for name, _, _ in axes_in(value)}
    if axis and axis.values and axis.parts is None and axis.name not in used and step.variant:
        problems.add(
            errors.UNUSED_AXIS,
            f"nothing in the step depends on the axis {axis.name!r}, so that all its variants are the same",
            step.variant,
            step.where("variant"),
            fix=f'write "${{matrix.{axis.name}}}" where the value is wanted',
        )
    return tuple(name for name in recipe.matrix if name in used or name == declared)


def _declared(step: Part, recipe: Recipe, problems: Problems) -> str | None:
    node = step.variant
    if node is None:
        return None
    written = step.axis or ""
    if written in recipe.matrix:
        return written
    problems.add(
        errors.UNKNOWN_AXIS,
        f"the matrix has no axis {written!r}" if written else f"`variant` is {node.describe()}",
        node,
        step.where("variant"),
        expected=listed(recipe.matrix, "there is no matrix"),
        fix=suggestion(written, recipe.matrix),
    )
    return None


def choices(axes: tuple[str, ...], matrix: Mapping[str, Axis]) -> Iterator[Choice]:
    """Every combination of the axes' values, the first axis outermost; one empty combination without axes."""
    for names in product(*(matrix[axis].values for axis in axes)):
        yield dict(zip(axes, names, strict=True))


def resolve(step: Part, choice: Choice, matrix: Mapping[str, Axis]) -> Part:
    """The step in one variant: merged with what its axis adds, and with references to the matrix put in.

    What the axis says takes the place of what the step says; `with` is merged key by key.
    """
    axis = matrix.get(step.axis) if step.axis else None
    if axis and axis.parts and axis.name in choice:
        step = _merge(step, axis.parts[choice[axis.name]])
    values = {name: matrix[name].values[value] for name, value in choice.items()}
    return replace(
        step,
        settings=None if step.settings is None else put_matrix(step.settings, values),
        seed=None if step.seed is None else put_matrix(step.seed, values),
    )


def _merge(step: Part, part: Part) -> Part:
    given = {"uses": part.uses, "from": part.inputs, "seed": part.seed, "max_failed": part.max_failed}
    borrowed: dict[TreePath, TreePath] = {(key,): part.path for key, node in given.items() if node is not None}
    settings = step.settings
    if part.settings is not None and part.settings.entries:
        borrowed.update({("with", key): part.path for key in part.settings.entries})
        below = settings or part.settings
        settings = Node({**below.entries, **part.settings.entries}, below.place, key=below.key)
    return replace(
        step,
        uses=part.uses or step.uses,
        inputs=part.inputs or step.inputs,
        seed=part.seed or step.seed,
        max_failed=part.max_failed or step.max_failed,
        settings=settings,
        borrowed=borrowed,
    )


def check_axes(recipe: Recipe, used: Mapping[str, tuple[str, ...]], problems: Problems) -> None:
    """Note axes that nothing varies along, and parts that no step takes up.

    Args:
        recipe: the recipe.
        used: each step's own axes.
        problems: where mistakes are noted.
    """
    varying = {axis for axes in used.values() for axis in axes}
    declared = {step.axis for step in recipe.steps.values()}
    for name, axis in recipe.matrix.items():
        if axis.values and name not in varying:
            what, fix = f"no step varies along the axis {name!r}", f"say `variant: {name}` in a step"
        elif axis.parts and name not in declared and any(part.node.entries for part in axis.parts.values()):
            what, fix = f"no step takes up the parts of the axis {name!r}", f"say `variant: {name}` in a step"
        else:
            continue
        problems.add(errors.UNUSED_AXIS, what, axis.node, ("matrix", name), fix=fix)
