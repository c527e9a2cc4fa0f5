"""The plan: the checked graph, ready to be executed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from itune_core.api.components import Component
from itune_core.api.fields import FUNCTION, MODEL_REF
from itune_core.api.records import Kind
from itune_core.api.resources import Backend
from itune_core.plugins import catalog, functions, loader
from itune_core.plugins.catalog import Entry
from itune_core.plugins.locks import drift
from itune_core.plugins.locks import lock as lockfile
from itune_core.plugins.policy import Policy
from itune_core.recipe import errors
from itune_core.recipe.columns import check_columns
from itune_core.recipe.drafts import Library, Load, draft_steps
from itune_core.recipe.errors import Problems
from itune_core.recipe.expand import Variant, expand
from itune_core.recipe.kinds import Flow, Kinds
from itune_core.recipe.links import check_names, follow, order
from itune_core.recipe.matrix import check_axes
from itune_core.recipe.nodes import Node
from itune_core.recipe.nodes import Path as TreePath
from itune_core.recipe.overrides import override
from itune_core.recipe.reading import is_mapping, read_recipe
from itune_core.recipe.recipe import Recipe
from itune_core.recipe.settings import read_settings, rewrite, rooted
from itune_core.recipe.yaml import read_file


@dataclass(frozen=True)
class Feed:
    """One edge into an input.

    Attributes:
        node: name of the step node it comes from.
        output: which of that node's outputs.
        kinds: of the records there: one, or those that a mixer brought together.
        cast: kind that the core casts them to on the way; None: none needed.
    """

    node: str
    output: str
    kinds: tuple[Kind, ...]
    cast: Kind | None


@dataclass(frozen=True)
class ModelNode:
    """An entry under ``models:``.

    Attributes:
        name: as in the recipe.
        backend: name of its backend.
        entry, component: what the backend is installed from, and its class.
        config: a validated ``Backend.Config``.
        line: in the recipe's file.
    """

    name: str
    backend: str
    entry: Entry
    component: type[Backend]
    config: Any
    line: int


@dataclass(frozen=True)
class StepNode:
    """One step, in one variant.

    Attributes:
        name: the step's name, or a variant's: ``aligned[algorithm=dpo]``.
        step: the step's name in the recipe.
        variant: value by axis; empty if it does not vary.
        stage, uses: as in ``uses: trainers/dpo``.
        entry, component: what the component is installed from, and its class.
        config: validated; input files are absolute paths, and references name nodes of this plan.
        inputs: what feeds each input, in the order in which the component declares them.
        models: nodes whose model a setting refers to, in order, each once.
        steps: nodes whose artifact a setting refers to, in order, each once.
        functions: that settings name, and what they are installed from.
        kinds: of the records it gives: one, or those that it mixes; none for trainers and evaluators.
        seed, max_failed: in force here.
        line: of the step in the recipe's file.
    """

    name: str
    step: str
    variant: Mapping[str, str]
    stage: str
    uses: str
    entry: Entry
    component: type[Component]
    config: Any
    inputs: Mapping[str, tuple[Feed, ...]]
    models: tuple[str, ...]
    steps: tuple[str, ...]
    functions: tuple[Entry, ...]
    kinds: tuple[Kind, ...]
    seed: int
    max_failed: float
    line: int

    @property
    def kind(self) -> Kind | None:
        """The one kind of the records it gives; None if it gives none, or several kinds."""
        return self.kinds[0] if len(self.kinds) == 1 else None


@dataclass(frozen=True)
class Plan:
    """A recipe without mistakes, as a graph.

    Attributes:
        file, name: of the recipe.
        recipe: what it says.
        models: by name.
        nodes: by name; each after all that it needs.
        extensions: settings by name.
        policy: what its plugins were let in by; holds its lock, if it has one.
        overrides: the ``KEY=VALUE`` that changed it.
    """

    file: Path
    name: str
    recipe: Recipe
    models: Mapping[str, ModelNode]
    nodes: Mapping[str, StepNode]
    extensions: Mapping[str, Mapping[str, Any]]
    policy: Policy = field(default_factory=Policy)
    overrides: tuple[str, ...] = ()


def load_installed(stage: str, name: str, policy: Policy) -> tuple[Entry, type[Any]]:
    """Find, check and import an installed component or extension. Raises PluginError."""
    entry = catalog.find(stage, name, policy.prefer)
    return entry, loader.load(entry, policy)


def compile(
    file: Path,
    *,
    load: Load = load_installed,
    overrides: Sequence[str] = (),
    allow: Sequence[str] = (),
    locked: bool = True,
) -> Plan:
    """Check a recipe as a whole and make the plan of it. Runs nothing, opens no data and no model.

    If there is a lock beside the recipe, the environment is held against it before anything of a plugin is imported.

    Args:
        file: the YAML file.
        load: finds, checks and imports a component.
        overrides: ``PATH=VALUE`` of each ``--set``.
        allow: distributions to let in besides those that the recipe allows; a lock has the last word.
        locked: whether a lock counts.

    Raises:
        RecipeProblems: every mistake that there is, not the first one only.
        PluginError: ``E-LOCK-...`` the lock cannot be read, or this environment is not the locked one.
    """
    problems = Problems(file)
    tree = read_file(file, problems)
    if tree is None:
        raise problems.error()
    recipe = read_recipe(file, override(tree, overrides, problems), problems)
    if recipe is None:
        raise problems.error()
    lock = lockfile.find(file) if locked else None
    if lock is not None:
        drift.refuse(lock, file, _labels(recipe))
    policy = Policy.of((*recipe.allow, *allow), recipe.prefer, lock)
    library = Library(load, policy, file.parent, problems)

    models = {name: _model(name, node, library) for name, node in recipe.models.items()}
    extensions = {name: _extension(name, node, library) for name, node in recipe.extensions.items()}
    drafts, own = draft_steps(recipe, library)
    check_axes(recipe, own, problems)
    check_names(recipe, drafts, problems)
    drafts = follow(recipe, drafts, problems)
    variants = expand(order(drafts, problems), drafts, own, recipe.matrix)
    kinds = Kinds(problems)
    for variant in variants:
        kinds.add(variant)
    check_columns(variants, problems)
    if problems:
        raise problems.error()
    return Plan(
        file=file,
        name=recipe.name,
        recipe=recipe,
        models={name: model for name, model in models.items() if model is not None},
        nodes={variant.name: _step(variant, kinds, recipe, file.parent) for variant in variants},
        extensions=extensions,
        policy=policy,
        overrides=tuple(overrides),
    )


def _labels(recipe: Recipe) -> frozenset[str]:
    """What the recipe plainly uses; a reference in `uses` is not resolved here."""
    variants = (part for axis in recipe.matrix.values() for part in (axis.parts or {}).values())
    named = [part.uses.value for part in (*recipe.steps.values(), *variants) if part.uses]
    backends = [node.entries["backend"].value for node in recipe.models.values() if "backend" in node.entries]
    return frozenset(map(str, named)).union(
        (f"backends/{name}" for name in backends), (f"extensions/{name}" for name in recipe.extensions)
    )


def _model(name: str, node: Node, library: Library) -> ModelNode | None:
    path: TreePath = ("models", name)
    if not is_mapping(node, path, library.problems):
        return None
    backend = node.entries.get("backend")
    if backend is None or not isinstance(backend.value, str):
        library.problems.add(
            errors.MISSING_KEY,
            f"the model {name!r} does not say which backend it runs on",
            backend or node,
            path,
            fix="add `backend: transformers`",
        )
        return None
    found = library.get("backends", backend.value, backend, (*path, "backend"))
    if found is None:
        return None
    entry, component = found
    rest = {key: item for key, item in node.entries.items() if key != "backend"}
    settings = read_settings(
        component,
        f"backends/{backend.value}",
        Node(rest, node.place, key=node.key),
        lambda place: (*path, *place),
        library.folder,
        library.problems,
    )
    config = rooted(settings.config, settings.marked, library.folder)
    return ModelNode(name, backend.value, entry, component, config, node.at.line)


def _extension(name: str, node: Node, library: Library) -> Mapping[str, Any]:
    """The settings of an extension, as far as they are written."""
    path: TreePath = ("extensions", name)
    found = library.get("extensions", name, node, path)
    if found is None:
        return {}
    where: Callable[[TreePath], TreePath] = lambda place: (*path, *place)  # noqa: E731
    settings = read_settings(found[1], f"extensions/{name}", node, where, library.folder, library.problems)
    values: Mapping[str, Any] = rooted(node.plain() or {}, settings.marked, library.folder)
    return values


def _step(variant: Variant, kinds: Kinds, recipe: Recipe, folder: Path) -> StepNode:
    draft = variant.draft
    assert draft.entry is not None  # nor is any of these three, or a problem would have been noted
    assert draft.component is not None
    assert draft.settings is not None
    config = rooted(draft.settings.config, draft.settings.marked, folder)
    markers = {item.place: item.marker for item in draft.settings.marked}

    def change(place: TreePath, value: Any) -> Any:
        names = variant.targets[place]
        return names if isinstance(place[-1], int) else names[0]

    flows = kinds.flows[variant.name]
    references = [(markers[place] is MODEL_REF, names) for place, names in variant.targets.items()]
    return StepNode(
        name=variant.name,
        step=draft.part.name,
        variant=variant.choice,
        stage=draft.stage,
        uses=draft.uses,
        entry=draft.entry,
        component=draft.component,
        config=rewrite(config, change, frozenset(variant.targets)),
        inputs={name: tuple(map(_feed, flows[name])) for name in draft.component.inputs if name in flows},
        models=tuple(dict.fromkeys(name for is_model, names in references if is_model for name in names)),
        steps=tuple(dict.fromkeys(name for is_model, names in references if not is_model for name in names)),
        functions=tuple(functions.find(item.value) for item in draft.settings.marked if item.marker is FUNCTION),
        kinds=kinds.of.get(variant.name, ()),
        seed=draft.seed,
        max_failed=draft.max_failed,
        line=recipe.steps[draft.part.name].node.at.line,
    )


def _feed(flow: Flow) -> Feed:
    return Feed(flow.source.variant.name, flow.source.output, flow.kinds, flow.cast)
