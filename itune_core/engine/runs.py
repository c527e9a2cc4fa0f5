"""Records of runs: ``runs/<UTC>-<name>-<6 hex>/run.json``, the recipe as it was, and the events."""

from __future__ import annotations

import json
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from itune_core.api.records import Kind, spelt, spelt_kinds
from itune_core.engine.errors import StoreError
from itune_core.engine.home import Home
from itune_core.engine.store import Artifact, Store
from itune_core.plugins.catalog import Entry
from itune_core.plugins.identity import identities
from itune_core.recipe.plan import Feed, Plan, StepNode


@dataclass
class RunRecord:
    """One run.

    Attributes:
        folder: where its files are.
        data: what ``run.json`` holds.
    """

    folder: Path
    data: dict[str, Any]

    @property
    def name(self) -> str:
        return self.folder.name

    def is_called(self, name: str) -> bool:
        """Whether `name` is the run's name, its beginning or its end."""
        return self.name.startswith(name) or self.name.endswith(name)

    @classmethod
    def begin(cls, home: Home, plan: Plan, extensions: Iterable[Entry] = ()) -> RunRecord:
        """Open a new run's record. It names the lock and the plugins that the run is made with, down to their files."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        folder = home.runs / f"{stamp}-{plan.name}-{secrets.token_hex(3)}"
        folder.mkdir(parents=True)
        shutil.copy(plan.file, folder / "recipe.yaml")
        entries = [entry for node in plan.nodes.values() for entry in (node.entry, *node.functions)]
        entries += [model.entry for model in plan.models.values()]
        record = cls(
            folder,
            {
                "name": plan.name,
                "seed": plan.recipe.seed,
                "recipe": str(plan.file.resolve()),
                "overrides": list(plan.overrides),
                "started": now(),
                "state": "running",
                "lock": plan.policy.lock and plan.policy.lock.sha256,
                "plugins": identities([*entries, *extensions]),
                "steps": {},
            },
        )
        record._write()
        return record

    def step(self, saved: Mapping[str, Any]) -> None:
        """Note a step whose artifact is there."""
        self.data["steps"][saved["name"]] = dict(saved)
        self._write()

    def end(self, error: str | None) -> None:
        """Close the record."""
        self.data["state"] = "done" if error is None else "interrupted" if error == "interrupted" else "failed"
        self.data["error"] = error
        self.data["ended"] = now()
        self._write()

    def _write(self) -> None:
        draft = self.folder / "run.json.tmp"
        draft.write_text(json.dumps(self.data, indent=2, ensure_ascii=False) + "\n", "utf-8")
        draft.replace(self.folder / "run.json")

    def nodes(self) -> dict[str, SavedNode]:
        """The steps, as data flows between them."""
        return {name: SavedNode.of(step) for name, step in self.data["steps"].items()}

    def artifact(self, store: Store, step: str) -> Artifact:
        """The artifact of one step.

        Raises:
            StoreError: ``E-STORE-002`` no such step; ``E-STORE-003`` it is no longer in the store.
        """
        if step not in self.data["steps"]:
            raise StoreError(
                "E-STORE-002",
                f"run {self.name} has no step {step!r}",
                fix=f"steps: {', '.join(self.data['steps']) or 'none was finished'}",
            )
        found = store.get(self.data["steps"][step]["key"])
        if found is None:
            raise StoreError("E-STORE-003", f"the artifact of {step!r} was removed", fix="run the recipe again")
        return found


def now() -> str:
    """UTC with milliseconds: runs begin and steps end within one second, and their order matters."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class SavedNode:
    """A step of a past run: what is needed to follow its data (see :mod:`itune_core.engine.flow`)."""

    name: str
    step: str
    stage: str
    kinds: tuple[Kind, ...]
    key: str
    inputs: Mapping[str, tuple[Feed, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, saved: Mapping[str, Any]) -> SavedNode:
        inputs = {name: tuple(_feed(feed) for feed in feeds) for name, feeds in saved["inputs"].items()}
        kinds = spelt_kinds(saved["kind"])
        return cls(saved["name"], saved["step"], saved["stage"], kinds, saved["key"], inputs)


def _feed(saved: Mapping[str, Any]) -> Feed:
    cast = Kind(saved["cast"]) if saved["cast"] else None
    return Feed(saved["node"], saved["output"], spelt_kinds(saved["kind"]), cast)


def saved_node(
    node: StepNode, artifact: Artifact, identities: Mapping[str, str], *, reused: bool, seconds: float
) -> dict[str, Any]:
    """A step as a run's record keeps it; `identities` are those of the models it names."""
    inputs = {
        name: [
            {"node": feed.node, "output": feed.output, "kind": spelt(feed.kinds), "cast": feed.cast} for feed in feeds
        ]
        for name, feeds in node.inputs.items()
    }
    return {
        "name": node.name,
        "step": node.step,
        "variant": dict(node.variant),
        "stage": node.stage,
        "component": node.entry.label,
        "kind": spelt(node.kinds) or None,
        "inputs": inputs,
        "models": list(node.models),
        "identities": dict(identities),
        "key": artifact.key,
        "outputs": artifact.manifest["outputs"],
        "counts": artifact.manifest["counts"],
        "reused": reused,
        "seconds": round(seconds, 3),
    }


def all_runs(home: Home) -> Iterator[RunRecord]:
    """Every run of a project, newest first."""
    runs = [RunRecord(path.parent, json.loads(path.read_text("utf-8"))) for path in home.runs.glob("*/run.json")]
    yield from sorted(runs, key=lambda run: (run.data["started"], run.name), reverse=True)


def find_run(home: Home, name: str | None = None) -> RunRecord:
    """The run of that name (or the only one it begins or ends), the latest if None.

    Raises:
        StoreError: ``E-STORE-001`` there is none, or several fit.
    """
    runs = list(all_runs(home))
    fitting = [run for run in runs if name is None or run.is_called(name)]
    fitting = [run for run in fitting if run.name == name] or fitting
    if not fitting or (name is not None and len(fitting) > 1):
        raise StoreError(
            "E-STORE-001",
            f"{'several runs are' if fitting else 'no run is'} called {name!r}" if name else "there is no run here",
            where=str(home.runs),
            fix="itune runs lists them; commands without a recipe look in .itune of this folder or in ITUNE_HOME",
        )
    return fitting[0]
