"""The edges of the graph of steps: every name followed, and no step needed by itself."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter

from itune_core.api.fields import MODEL_REF
from itune_core.recipe import errors
from itune_core.recipe.drafts import Draft
from itune_core.recipe.errors import Problems
from itune_core.recipe.inputs import Edge
from itune_core.recipe.names import listed, suggestion
from itune_core.recipe.recipe import Recipe

Drafts = Mapping[str, Sequence[Draft]]


def check_names(recipe: Recipe, drafts: Drafts, problems: Problems) -> None:
    """Note names that two of the recipe's models, steps and outputs share.

    Outputs count where a step has several, which are told apart by name (``parts.train``).
    """
    for name, step in recipe.steps.items():
        if name in recipe.models:
            line = recipe.models[name].at.line
            problems.add(
                errors.NAME_TWICE,
                f"{name!r} is a step and, in line {line}, a model",
                step.node,
                step.path,
                fix="rename one of them",
            )
    for name, members in drafts.items():
        for draft in members:
            outputs = draft.component.outputs if draft.component else ()
            for output in outputs if len(outputs) > 1 else ():
                for section, taken in (("steps", {key: part.node for key, part in recipe.steps.items()}),
                                       ("models", recipe.models)):  # fmt: skip
                    if output in taken:
                        problems.add(
                            errors.NAME_TWICE,
                            f"{output!r} is a {section[:-1]} and an output of the step {name!r} ({name}.{output})",
                            taken[output],
                            (section, output),
                            fix=f"rename the {section[:-1]}",
                        )


def follow(recipe: Recipe, drafts: Drafts, problems: Problems) -> dict[str, list[Draft]]:
    """`drafts` with only those edges that lead somewhere; the others are noted."""
    return {
        name: [
            replace(draft, edges=tuple(edge for edge in draft.edges if _leads(name, edge, recipe, drafts, problems)))
            for draft in members
        ]
        for name, members in drafts.items()
    }


def _leads(step: str, edge: Edge, recipe: Recipe, drafts: Drafts, problems: Problems) -> bool:
    if edge.marker is MODEL_REF:
        return _leads_to_model(step, edge, recipe, drafts, problems)
    if edge.target not in drafts:
        is_model = edge.target in recipe.models
        others = [name for name in drafts if name != step]
        problems.add(
            errors.NOT_RECORDS if is_model else errors.UNKNOWN_STEP,
            f"{edge.target!r} is a model, not a step" if is_model else f"there is no step {edge.target!r}",
            edge.at,
            edge.path,
            expected=listed(others),
            fix=None if is_model else suggestion(edge.target, others),
        )
        return False
    return edge.marker is not None or _leads_to_records(edge, drafts, problems)


def _leads_to_records(edge: Edge, drafts: Drafts, problems: Problems) -> bool:
    for draft in drafts[edge.target]:
        if draft.component is None:
            continue
        if draft.stage in ("trainers", "evaluators"):
            gives, fix = (
                ("a model", f"name it in a setting: `with: {{model: {edge.target}}}`")
                if draft.stage == "trainers"
                else ("figures", "read from the step whose records it measured")
            )
            problems.add(errors.NOT_RECORDS, f"{edge.target!r} gives {gives}, not records", edge.at, edge.path, fix=fix)
            return False
        if edge.output and edge.output not in draft.component.outputs:
            problems.add(
                errors.UNKNOWN_OUTPUT,
                f"{edge.target!r} ({draft.label}) has no output {edge.output!r}",
                edge.at,
                edge.path,
                expected=listed(f"{edge.target}.{output}" for output in draft.component.outputs),
                fix=suggestion(edge.output, draft.component.outputs),
            )
            return False
    return True


def _leads_to_model(step: str, edge: Edge, recipe: Recipe, drafts: Drafts, problems: Problems) -> bool:
    if edge.target in recipe.models:
        return True
    trainers = [name for name, members in drafts.items() if members[0].stage == "trainers" and name != step]
    choices = [*recipe.models, *trainers]
    if edge.target not in drafts:
        problems.add(
            errors.UNKNOWN_MODEL,
            f"there is no model {edge.target!r}",
            edge.at,
            edge.path,
            expected=listed(choices, "an entry under `models`, or a step that trains"),
            fix=suggestion(edge.target, choices, f"add it under models: `{edge.target}: {{backend: ..., model: ...}}`"),
        )
        return False
    for draft in drafts[edge.target]:
        if draft.component is not None and draft.stage != "trainers":
            problems.add(
                errors.NOT_A_MODEL,
                f"the step {edge.target!r} ({draft.label}) does not train a model",
                edge.at,
                edge.path,
                expected=listed(choices, "an entry under `models`, or a step that trains"),
            )
            return False
    return True


def order(drafts: Drafts, problems: Problems) -> list[str]:
    """Steps so that each comes after all that it needs, otherwise as in the file; notes every circle.

    Steps in a circle, and what needs them, are left out.
    """
    needs: dict[str, dict[str, Edge]] = {
        name: {edge.target: edge for draft in members for edge in draft.edges if edge.target in drafts}
        for name, members in drafts.items()
    }
    graph = {name: set(targets) for name, targets in needs.items()}
    in_circle: set[str] = set()
    while circle := _circle(graph):
        _note_circle(circle, needs, drafts, problems)
        in_circle.update(circle)
        for name in circle:
            graph[name] -= set(circle)
    return [name for name in _sorted(graph) if not _reaches(name, in_circle, needs)]


def _circle(graph: Mapping[str, set[str]]) -> list[str]:
    """Steps that need each other, each needing the next and the last the first; empty if there are none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        backwards: list[str] = error.args[1]  # each is needed by the next, the first stands at both ends
        return backwards[:0:-1]
    return []


def _note_circle(
    circle: list[str], needs: Mapping[str, Mapping[str, Edge]], drafts: Drafts, problems: Problems
) -> None:
    first = min(range(len(circle)), key=lambda index: drafts[circle[index]][0].part.node.at.line)
    circle = circle[first:] + circle[:first]
    edge = needs[circle[0]][circle[1 % len(circle)]]
    if len(circle) == 1:
        problems.add(errors.CYCLE, f"the step {circle[0]!r} needs itself", edge.at, edge.path, fix="name another step")
        return
    lines = [f"{name} (line {drafts[name][0].part.node.at.line})" for name in circle]
    problems.add(
        errors.CYCLE,
        f"steps need each other in a circle: {' needs '.join([*lines, circle[0]])}",
        edge.at,
        edge.path,
        fix="let one of them read from an earlier step, or use another model",
    )


def _sorted(graph: Mapping[str, set[str]]) -> list[str]:
    rank = {name: index for index, name in enumerate(graph)}
    names = list(graph)
    sorter = TopologicalSorter(graph)
    sorter.prepare()
    ready: list[int] = []
    found: list[str] = []
    while sorter.is_active():
        for name in sorter.get_ready():
            heapq.heappush(ready, rank[name])
        name = names[heapq.heappop(ready)]
        found.append(name)
        sorter.done(name)
    return found


def _reaches(name: str, goals: set[str], needs: Mapping[str, Mapping[str, Edge]]) -> bool:
    seen: set[str] = set()
    stack = [name]
    while stack:
        here = stack.pop()
        if here in goals:
            return True
        if here not in seen:
            seen.add(here)
            stack += needs[here]
    return False
