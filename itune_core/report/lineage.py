"""What a trained model comes from: the trainings that led to it, and the steps that made their rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from itune_core.report.artifacts import RunArtifacts

Steps = Mapping[str, Mapping[str, Any]]
"""Steps of a run's record by name, in the order in which they were done."""


def trainings(steps: Steps, step: str) -> list[str]:
    """The trainings that led to the model of `step`, the first one first and `step` last."""
    found = [step]
    while (parent := base_of(steps, found[0])) in steps:
        found.insert(0, parent)
    return found


def base_of(steps: Steps, step: str) -> str:
    """Name of the model that a training began with: of the recipe, or of a step."""
    return str(steps[step]["models"][0])


def ancestors(steps: Steps, trained: Sequence[str]) -> list[str]:
    """The steps that the rows of these trainings went through, in order; a step whose model made some of them too."""
    found: set[str] = set()
    queue = [feed["node"] for step in trained for feeds in steps[step]["inputs"].values() for feed in feeds]
    while queue:
        name = queue.pop()
        if name in steps and name not in found:
            found.add(name)
            queue += [feed["node"] for feeds in steps[name]["inputs"].values() for feed in feeds]
            queue += steps[name]["models"]
    return [name for name in steps if name in found]


def sources(artifacts: RunArtifacts, step: str) -> Counter[tuple[str | None, str | None]] | None:
    """How many rows that a training was given have each source and licence; None if the rows are no longer there."""
    feeds = artifacts.run.nodes()[step].inputs
    name = "train" if "train" in feeds else next(iter(feeds))
    if not all(artifacts.readable(feed.node) for feed in feeds[name]):
        return None
    counted: Counter[tuple[str | None, str | None]] = Counter()
    for view in artifacts.input_views(step, name):
        rows = view.dataset.select_columns(["source", "license"]).with_format("arrow")
        for batch in rows.iter(batch_size=10_000):
            counted.update(zip(batch["source"].to_pylist(), batch["license"].to_pylist(), strict=True))
    return counted
