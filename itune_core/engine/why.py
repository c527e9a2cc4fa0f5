"""Why a step would run again: what changed since it was last made, in words, back to where it began."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from itune_core.api.fields import INPUT_FILE, MODEL_REF, STEP_REF, marked
from itune_core.engine.environment import environment
from itune_core.engine.keys import Change, changes
from itune_core.engine.project import Project
from itune_core.engine.runs import RunRecord
from itune_core.engine.store import Artifact
from itune_core.recipe.plan import Feed, StepNode

_FEED = re.compile(
    r"inputs\.(?P<input>[^.\[]+)(?:\[(?P<number>\d+)\]\.(?P<part>rows|cast|columns)(?:\.(?P<column>.+))?)?"
)


@dataclass(frozen=True)
class Cause:
    """One part of a step's key that changed.

    Attributes:
        path, old, new: the part (``config.max_words``), before and now.
        words: the same for people.
        step: the step whose output it is, if it is one's.
        because: why that step's output changed.
    """

    path: str
    old: Any
    new: Any
    words: str
    step: str | None = None
    because: tuple[Cause, ...] = ()


@dataclass(frozen=True)
class Explanation:
    """Whether a step would run, and why.

    Attributes:
        step: its node.
        state: ``cached``; ``run``; or ``waits`` for steps that run before it, so that its key is not known yet.
        key: its key; None if it waits.
        compared: the artifact it is compared with: its own if cached, else the nearest earlier one; None if there is
            none.
        run: the run that `compared` was found in.
        causes: what changed since `compared`.
        environment: what is different in the environment since `compared` was made; not part of the key.
        waits_for: explanations of those steps before it that would run first, as far as that can be told.
    """

    step: str
    state: Literal["cached", "run", "waits"]
    key: str | None = None
    compared: Artifact | None = None
    run: str | None = None
    causes: tuple[Cause, ...] = ()
    environment: tuple[Change, ...] = ()
    waits_for: tuple[Explanation, ...] = field(default=())


def explain(project: Project, node: StepNode, runs: Sequence[RunRecord]) -> Explanation:
    """Explain one node of a plan.

    Args:
        project: the plan on this machine.
        node: a node of it.
        runs: past runs of the project, newest first.
    """
    for earlier in project.plan.nodes.values():  # finds what the node's key is made of
        project.find(earlier)
        if earlier.name == node.name:
            break
    return _explain(project, node, runs)


def _explain(project: Project, node: StepNode, runs: Sequence[RunRecord]) -> Explanation:
    found = project.find(node)
    if found is None:
        known = [other for other in _before(project, node) if project.find(other)]
        first = [other for other in known if other.name not in project.artifacts]
        return Explanation(node.name, "waits", waits_for=tuple(_explain(project, other, runs) for other in first))
    key, parts = found
    artifact = project.artifacts.get(node.name)
    if artifact is not None:
        run = next((run.name for run in runs if _key(run, node.name) == key), None)
        return Explanation(node.name, "cached", key, artifact, run, environment=_environment(artifact))
    near = _nearest(project, node, parts, runs)
    if near is None:
        return Explanation(node.name, "run", key)
    old, where = near
    causes = tuple(_causes(project, node, old.manifest["parts"], parts, where, frozenset({node.name})))
    return Explanation(node.name, "run", key, old, where.name, causes, _environment(old))


def _before(project: Project, node: StepNode) -> list[StepNode]:
    """All that a node depends on, in the order of the plan."""
    nodes = project.plan.nodes
    names: set[str] = set()
    queue = [node]
    while queue:
        last = queue.pop()
        needs = [feed.node for feeds in last.inputs.values() for feed in feeds]
        needs += [name for name in (*last.models, *last.steps) if name in nodes]
        queue += [nodes[name] for name in needs if name not in names]
        names.update(needs)
    return [other for name, other in nodes.items() if name in names]


def _key(run: RunRecord, step: str) -> str | None:
    saved = run.data["steps"].get(step)
    return str(saved["key"]) if saved else None


def _nearest(
    project: Project, node: StepNode, parts: Mapping[str, Any], runs: Sequence[RunRecord]
) -> tuple[Artifact, RunRecord] | None:
    """The artifact of this step in a past run that differs in the fewest parts; the newest of those."""
    earlier: dict[str, tuple[Artifact, RunRecord]] = {}
    for run in runs:
        key = _key(run, node.name)
        artifact = project.store.get(key) if key is not None and key not in earlier else None
        if artifact is not None:
            earlier[artifact.key] = artifact, run
    return min(earlier.values(), key=lambda found: len(list(changes(found[0].manifest["parts"], parts))), default=None)


def _environment(artifact: Artifact) -> tuple[Change, ...]:
    return tuple(changes(artifact.manifest["environment"], environment()))


def _causes(
    project: Project,
    node: StepNode,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    run: RunRecord,
    seen: frozenset[str],
) -> Iterator[Cause]:
    for change in changes(old, new):
        words, step = _words(project, node, change)
        because: tuple[Cause, ...] = ()
        if step is not None and step not in seen:
            because = tuple(_behind(project, step, run, seen | {step}))
        yield Cause(*change, words, step, because)


def _behind(project: Project, step: str, run: RunRecord, seen: frozenset[str]) -> Iterator[Cause]:
    """Why what `step` gives now is not what it gave in `run`."""
    key = _key(run, step)
    old = project.store.get(key) if key is not None else None
    new = project.artifacts.get(step)
    if old is not None and new is not None:
        yield from _causes(project, project.plan.nodes[step], old.manifest["parts"], new.manifest["parts"], run, seen)


def _words(project: Project, node: StepNode, change: Change) -> tuple[str, str | None]:
    """A change in words, and the step of the plan that it comes from."""
    area = change.path.partition(".")[0].partition("[")[0]
    if area == "inputs":
        return _input_words(project, node, change)
    if area == "config":
        return _config_words(project, node, change)
    if area == "code":
        return _code_words(str(change.old), str(change.new)), None
    if area == "depends_on":
        return _dependency_words(change), None
    if area == "wrappers":
        return f"the extensions around {node.stage} changed", None
    if area == "format":
        return f"itune keeps artifacts in another form now: {change.old} -> {change.new}", None
    if area == "columns":
        return f"its columns are called after the step: {change.old} -> {change.new}", None
    return str(change), None  # component and seed say it all


def _input_words(project: Project, node: StepNode, change: Change) -> tuple[str, str | None]:
    match = _FEED.fullmatch(change.path)
    if match is None or match["number"] is None:
        before, after = (len(side) if isinstance(side, list) else 0 for side in (change.old, change.new))
        return f"{change.path} reads from {after} places, before from {before}", None
    feed: Feed = node.inputs[match["input"]][int(match["number"])]
    name = f"inputs.{match['input']}"
    if match["part"] == "cast":
        return f"{name}: records are cast to {change.new or 'nothing'}, before to {change.old or 'nothing'}", None
    if match["part"] == "columns":
        scorer = str(match["column"]).split(".")[1:2]
        step = scorer[0] if scorer and scorer[0] in project.plan.nodes else feed.node
        return f"{name}: the column {match['column']} holds other values", step
    return f"{name}: {feed.node} gives other rows", feed.node


def _config_words(project: Project, node: StepNode, change: Change) -> tuple[str, str | None]:
    config = project.component(node).config
    for item in marked(config):
        if not change.path.startswith(f"config.{item.path}"):
            continue
        if item.marker is INPUT_FILE:
            return f"config.{item.path}: what the files hold changed ({item.value})", None
        if item.marker in (MODEL_REF, STEP_REF) and change.old is not None:
            what = "model" if item.marker is MODEL_REF else "step"
            step = item.value if item.value in project.plan.nodes else None
            return f"config.{item.path}: the {what} {item.value} is another one", step
    return str(change), None


def _code_words(old: str, new: str) -> str:
    """Editable code has a digest, which says nothing to people."""
    package = new.partition(" editable ")[0]
    if package == old.partition(" editable ")[0] and package != new:
        return f"code: the sources of {package} changed (it is installed to be edited)"
    return f"code: {old.partition(' editable ')[0]} -> {package}"


def _dependency_words(change: Change) -> str:
    """One distribution has another version; or the component did not declare any before, or does not now."""
    name = change.path.partition(".")[2]
    if not name:
        now, before = (
            ", ".join(f"{one} {at}" for one, at in (side or {}).items()) for side in (change.new, change.old)
        )
        return f"its output depends on {now or 'no other distribution'} now, before on {before or 'none'}"
    old, new = (None if side is None else str(side).partition(" editable ")[0] for side in (change.old, change.new))
    if old == new:
        return f"the sources of {name} changed, which its output depends on (it is installed to be edited)"
    return f"its output depends on {name}: {old or 'not before'} -> {new or 'no more'}"
