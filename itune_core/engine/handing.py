"""What the component of a step is handed: its inputs and its context."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from itune_core.engine import keys
from itune_core.engine.context import Answering, StepContext
from itune_core.engine.local import map_local
from itune_core.engine.project import Project
from itune_core.engine.views import View
from itune_core.plugins import functions
from itune_core.recipe.plan import StepNode


def inputs(node: StepNode, views: Mapping[str, list[View]]) -> dict[str, Any]:
    """The data set of each input that has one, a list of them where an input takes many.

    Args:
        node: the step.
        views: the rows of each input.
    """
    return {
        name: [view.dataset for view in views[name]] if spec.many else views[name][0].dataset
        for name, spec in node.component.inputs.items()
        if views.get(name)
    }


def context(
    project: Project,
    node: StepNode,
    scratch: Path,
    answering: Answering,
    *,
    workers: int = 1,
    report: Callable[[int, int | None, Mapping[str, float]], None],
) -> StepContext:
    """The context of a step of this project.

    Args:
        project: the plan on this machine; what the step needs is made.
        node: the step.
        scratch: the step's folder.
        answering: answers its questions.
        workers: processes that carry per-row work.
        report: called with (done, total, figures).
    """
    return StepContext(
        scratch=scratch,
        seed=node.seed,
        component=node.entry.label,
        code=keys.code_identity(node.entry),
        models=project.source,
        rules=project.rule,
        functions=lambda value: functions.load(value, project.plan.policy),
        serving=answering,
        mapper=lambda function, items: map_local(function, items, workers),
        part=project.store.part,
        report=report,
    )
