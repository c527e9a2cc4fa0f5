"""What is in a run's artifacts: first rows of each output, training history, single results of an evaluator."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from itune_core.api.records import records
from itune_core.engine.flow import Flow
from itune_core.engine.runs import RunRecord
from itune_core.engine.store import Artifact, Store
from itune_core.engine.views import View
from itune_core.report import mixture

DATA_STAGES = ("formatters", "generators", "filters", "scorers", "mixers")


class RunArtifacts:
    """The artifacts of a run that are still in the store.

    Attributes:
        run: its record.
        found: by step; a step whose artifact was removed is missing.
    """

    def __init__(self, run: RunRecord, store: Store) -> None:
        self.run = run
        artifacts = {name: store.get(step["key"]) for name, step in run.data["steps"].items()}
        self.found: dict[str, Artifact] = {name: artifact for name, artifact in artifacts.items() if artifact}
        self._flow = Flow(run.nodes(), self.found)

    def readable(self, step: str) -> bool:
        """Whether the rows of `step` can be read: it gives rows, and nothing that they are made of was removed."""
        node = self.run.nodes()[step]
        if step not in self.found or node.stage not in DATA_STAGES:
            return False
        handed_on = self.found[step].manifest.get("drawn_from", list(node.inputs)[:1])
        return all(self.readable(feed.node) for name in handed_on for feed in node.inputs[name])

    def sources(self, step: str) -> list[str]:
        """Names of the data sets that a mixer draws from, in order; none of another step."""
        steps, manifest = self.run.data["steps"], self.found[step].manifest
        return mixture.sources(steps[step], manifest, steps) if manifest["stage"] == "mixers" else []

    def view(self, step: str, output: str) -> View:
        """The rows of an output of a readable step."""
        return self._flow.view(step, output)

    def rows(self, step: str, output: str, limit: int) -> list[dict[str, Any]]:
        """The first rows of an output, with their score columns."""
        import numpy as np

        view = self.view(step, output)
        if not len(view):
            return []
        head = view.select(np.arange(min(limit, len(view))))
        return [dict(record) for record in records(head.dataset)]

    def input_views(self, step: str, name: str) -> list[View]:
        """The rows that an input of `step` read; what they are made of must be readable."""
        return self._flow.input(step, name)

    def inputs(self, step: str, ids: Container[str]) -> dict[str, dict[str, Any]]:
        """Rows of the first input of `step` by id, as the step read them; none if they cannot be read."""
        feeds = next(iter(self.run.nodes()[step].inputs.values()), ())
        if not all(self.readable(feed.node) for feed in feeds):
            return {}
        found: dict[str, dict[str, Any]] = {}
        for view in self._flow.input(step):
            wanted = [place for place, item in enumerate(view.dataset["id"]) if item in ids]
            found |= {record["id"]: dict(record) for record in records(view.dataset.select(wanted))}
        return found

    def history(self, step: str) -> list[dict[str, Any]]:
        """What a trainer logged, in order."""
        return list(_lines(self.found[step].folder / "history.jsonl"))

    def results(self, step: str, limit: int | None = None) -> list[dict[str, Any]]:
        """Single results of an evaluator, their model called by its name in the recipe."""
        names = {identity: name for name, identity in self.run.data["steps"][step]["identities"].items()}
        found = islice(_lines(self.found[step].folder / "table.jsonl"), limit)
        return [{**row, "model": names.get(row["model"], row["model"])} for row in found if "model" in row]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        with path.open(encoding="utf-8") as stream:
            for line in stream:
                yield json.loads(line)
