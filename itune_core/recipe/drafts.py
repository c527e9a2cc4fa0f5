"""A step in one of its own variants: its component loaded, its settings read, its edges named but not yet followed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from itune_core.api.components import Component
from itune_core.api.errors import PluginError
from itune_core.api.fields import FUNCTION, MODEL_REF, STEP_REF
from itune_core.api.hookspecs import RESOURCES, STAGES
from itune_core.plugins import functions
from itune_core.plugins.catalog import Entry
from itune_core.plugins.policy import Policy
from itune_core.recipe import errors
from itune_core.recipe.errors import Problems
from itune_core.recipe.inputs import Edge, read_inputs
from itune_core.recipe.matrix import Choice, choices, own_axes, resolve
from itune_core.recipe.names import listed, suggestion
from itune_core.recipe.nodes import Node
from itune_core.recipe.nodes import Path as TreePath
from itune_core.recipe.reading import read_value, seed_value, share_value
from itune_core.recipe.recipe import Part, Recipe
from itune_core.recipe.settings import Settings, read_settings

Load = Callable[[str, str, Policy], tuple[Entry, type[Any]]]
"""Finds, checks and imports ``stage/name``. Raises PluginError."""


class Library:
    """What a recipe's components are loaded from: each once, by one policy."""

    def __init__(self, load: Load, policy: Policy, folder: Path, problems: Problems) -> None:
        self.folder = folder
        self.problems = problems
        self._load = load
        self._policy = policy
        self._known: dict[tuple[str, str], tuple[Entry, type[Any]] | PluginError] = {}

    def get(self, stage: str, name: str, at: Node, path: TreePath) -> tuple[Entry, type[Any]] | None:
        """A component and what it is installed from, or None if it cannot be had (which is noted)."""
        key = (stage, name)
        if key not in self._known:
            try:
                self._known[key] = self._load(stage, name, self._policy)
            except PluginError as error:
                self._known[key] = error
        found = self._known[key]
        if isinstance(found, PluginError):
            self.problems.adopt(found, at, path)
            return None
        return found

    def function(self, value: str, at: Node, path: TreePath) -> None:
        """Import a function that a setting names; what is wrong with it is noted."""
        try:
            functions.load(value, self._policy)
        except PluginError as error:
            self.problems.adopt(error, at, path)


@dataclass(frozen=True)
class Draft:
    """A step in one variant along its own axes.

    Attributes:
        part: the step, merged with its variant.
        choice: value of each of its own axes.
        stage, uses: as in ``uses: stage/name``; empty if that cannot be read.
        entry, component, settings: None if the component could not be loaded.
        edges: all references to steps and models, inputs first.
        seed, max_failed: the step's, or the recipe's.
    """

    part: Part
    choice: Choice
    stage: str
    uses: str
    entry: Entry | None
    component: type[Component] | None
    settings: Settings | None
    edges: tuple[Edge, ...]
    seed: int
    max_failed: float

    @property
    def label(self) -> str:
        return f"{self.stage}/{self.uses}"


def draft_steps(recipe: Recipe, library: Library) -> tuple[dict[str, list[Draft]], dict[str, tuple[str, ...]]]:
    """Every step in all variants along its own axes, and those axes. Each step has at least one draft."""
    drafts: dict[str, list[Draft]] = {}
    axes: dict[str, tuple[str, ...]] = {}
    for name, step in recipe.steps.items():
        axes[name] = own_axes(step, recipe, library.problems)
        declared = step.variant is None or step.axis in axes[name]
        combinations = list(choices(axes[name], recipe.matrix))
        if declared and combinations:
            drafts[name] = [_draft(resolve(step, choice, recipe.matrix), choice, recipe, library)
                            for choice in combinations]  # fmt: skip
        else:  # an axis that is unknown or has no values has been noted; what hangs on it cannot be judged
            axes[name] = ()
            drafts[name] = [_unknown(step, library.problems)]
    return drafts, axes


def _draft(step: Part, choice: Choice, recipe: Recipe, library: Library) -> Draft:
    problems = library.problems
    stage, uses = _uses(step, choice, problems)
    at = step.uses or step.node
    found = library.get(stage, uses, at, step.where("uses")) if stage and uses else None
    entry, component = found or (None, None)
    label = f"{stage}/{uses}"
    settings = None
    if component is not None:
        node = step.settings or Node({}, step.node.place, key=step.node.key)
        settings = read_settings(
            component, label, node, lambda place: step.where("with", *place), library.folder, problems
        )
        for item in settings.marked:
            if item.marker is FUNCTION:
                library.function(item.value, node.nearest(item.place), step.where("with", *item.place))
    seed = read_value(step.seed, step.where("seed"), seed_value, problems) if step.seed else None
    failed = read_value(step.max_failed, step.where("max_failed"), share_value, problems) if step.max_failed else None
    return Draft(
        part=step,
        choice=choice,
        stage=stage,
        uses=uses,
        entry=entry,
        component=component,
        settings=settings,
        edges=(*read_inputs(step, label, component, problems), *_setting_edges(step, settings)),
        seed=recipe.seed if seed is None else seed,
        max_failed=recipe.max_failed if failed is None else failed,
    )


def _unknown(step: Part, problems: Problems) -> Draft:
    return Draft(step, {}, "", "", None, None, None, read_inputs(step, "", None, problems), 0, 0.0)


def _setting_edges(step: Part, settings: Settings | None) -> list[Edge]:
    """References in settings. One that is an item of a list gathers: the list can hold all variants of its target."""
    if settings is None:
        return []
    node = step.settings or step.node
    return [
        Edge(
            target=str(item.value),
            at=node.nearest(item.place),
            path=step.where("with", *item.place),
            gathers=isinstance(item.place[-1], int),
            marker=item.marker,
            place=item.place,
        )
        for item in settings.marked
        if item.marker in (MODEL_REF, STEP_REF)
    ]


def _uses(step: Part, choice: Choice, problems: Problems) -> tuple[str, str]:
    node, path = step.uses, step.where("uses")
    if not isinstance(step.node.value, dict):
        return "", ""  # noted when the step was read
    if node is None:
        which = f" in the variant {', '.join(f'{axis}={value}' for axis, value in choice.items())}" if choice else ""
        problems.add(
            errors.MISSING_KEY,
            f"the step {step.name!r} has no `uses`{which}",
            step.node,
            step.path,
            expected="uses: STAGE/COMPONENT",
            fix="`itune plugins list` shows what there is",
        )
        return "", ""
    stage, slash, name = node.value.partition("/") if isinstance(node.value, str) else ("", "", "")
    if not slash or not stage or not name or "/" in name:
        problems.add(
            errors.BAD_USES,
            f"`uses` is {node.describe()}",
            node,
            path,
            expected="STAGE/COMPONENT, such as trainers/sft",
            fix="`itune plugins list` shows what there is",
        )
        return "", ""
    if stage not in STAGES:
        resource = {"backends": "backends stand under `models`", "extensions": "extensions have a section of their own"}
        problems.add(
            errors.UNKNOWN_STAGE,
            f"{stage!r} is not a stage that a step can have" if stage in RESOURCES else f"there is no stage {stage!r}",
            node,
            path,
            expected=listed(STAGES),
            fix=resource.get(stage) or suggestion(stage, STAGES),
        )
        return "", ""
    return stage, name
