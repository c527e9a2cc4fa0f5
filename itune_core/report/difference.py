"""Two runs side by side: by which plugins they were made, what they were told to do, and what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

from itune_core.engine.keys import Change, changes
from itune_core.engine.runs import RunRecord
from itune_core.engine.store import Store
from itune_core.report.comparison import Figure, metrics_table


class StepChange(NamedTuple):
    """A step whose artifact is another one.

    Attributes:
        step: its name.
        old, new: its keys; None where the run has no such step.
        changes: the parts of the key that differ; empty where an artifact is gone, or one run lacks the step.
    """

    step: str
    old: str | None
    new: str | None
    changes: tuple[Change, ...]


class FigureChange(NamedTuple):
    """A figure that came out differently; the model is empty if it is of none."""

    step: str
    figure: str
    model: str
    old: Figure | None
    new: Figure | None


@dataclass(frozen=True)
class Difference:
    """How a run differs from an earlier one.

    Attributes:
        plugins: labels whose distribution, version or code differ, and the lock.
        recipe: places of the recipe that differ, with the values given on the command line.
        steps: steps whose key differs, in the order of the second run.
        figures: what the evaluators measured differently.
        same_figures: how many figures are equal.
    """

    plugins: tuple[Change, ...]
    recipe: tuple[Change, ...]
    steps: tuple[StepChange, ...]
    figures: tuple[FigureChange, ...]
    same_figures: int


def difference(old: RunRecord, new: RunRecord, store: Store) -> Difference:
    """How `new` differs from `old`."""
    before, after = _figures(old, store), _figures(new, store)
    places = dict.fromkeys([*before, *after])
    return Difference(
        plugins=tuple(changes(_plugins(old), _plugins(new))),
        recipe=tuple(changes(_told(old), _told(new))),
        steps=tuple(_steps(old, new, store)),
        figures=tuple(
            FigureChange(*place, before.get(place), after.get(place))
            for place in places
            if before.get(place) != after.get(place)
        ),
        same_figures=sum(before.get(place) == after.get(place) for place in places),
    )


def _plugins(run: RunRecord) -> dict[str, Any]:
    """Per label what it came from, in one line; runs of before there were digests have none."""
    told = {"lock": run.data.get("lock")}
    for label, plugin in run.data["plugins"].items():
        digest = plugin.get("digest")
        told[label] = f"{plugin['distribution']} {plugin['version']}" + (f" ({digest})" if digest else "")
    return told


def _told(run: RunRecord) -> dict[str, Any]:
    recipe = yaml.safe_load((run.folder / "recipe.yaml").read_text("utf-8"))
    given = dict(text.partition("=")[::2] for text in run.data["overrides"])
    return {**recipe, "--set": given}


def _steps(old: RunRecord, new: RunRecord, store: Store) -> list[StepChange]:
    found = []
    for name in dict.fromkeys([*new.data["steps"], *old.data["steps"]]):
        keys = [run.data["steps"][name]["key"] if name in run.data["steps"] else None for run in (old, new)]
        if keys[0] == keys[1]:
            continue
        artifacts = [store.get(key) if key else None for key in keys]
        parts = [artifact.manifest["parts"] for artifact in artifacts if artifact]
        found.append(StepChange(name, keys[0], keys[1], tuple(changes(*parts)) if len(parts) == 2 else ()))
    return found


def _figures(run: RunRecord, store: Store) -> Mapping[tuple[str, str, str], Figure]:
    return {
        (measure.step, measure.name, model): figure
        for measure in metrics_table(run, store).measures
        for model, figure in measure.figures.items()
    }
