"""Clearing the store: what no remaining run needs goes."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass

from itune_core.engine.home import Home
from itune_core.engine.presence import alone
from itune_core.engine.runs import RunRecord, all_runs
from itune_core.engine.store import Artifact, Store


@dataclass(frozen=True)
class Clearing:
    """What is removed, or would be.

    Attributes:
        runs: records of runs.
        artifacts: those that no remaining run used.
        bytes: freed, with what no artifact owns: drafts, scratch and checkpoints of steps that were stopped, parts.
    """

    runs: tuple[RunRecord, ...]
    artifacts: tuple[Artifact, ...]
    bytes: int


def clear(home: Home, *, keep_runs: int | None = None, dry_run: bool = False) -> Clearing:
    """Remove what no run needs, while holding off new runs.

    Args:
        home: the project.
        keep_runs: keep only the records of so many newest runs (None: all), and so only what these need.
        dry_run: remove nothing.

    Raises:
        StoreError: ``E-STORE-006`` a run is going on.
    """
    with alone(home):
        store = Store(home)
        runs = list(all_runs(home))
        kept, gone = (runs, []) if keep_runs is None else (runs[:keep_runs], runs[keep_runs:])
        needed = used_by(kept, store)
        artifacts = [artifact for artifact in store.all() if artifact.key not in needed]
        freed = sum(map(store.size, artifacts))
        if dry_run:
            return Clearing(tuple(gone), tuple(artifacts), freed + store.loose())
        for run in gone:
            shutil.rmtree(run.folder)
        for artifact in artifacts:
            store.remove(artifact)
        return Clearing(tuple(gone), tuple(artifacts), freed + store.sweep())


def used_by(runs: Iterable[RunRecord], store: Store) -> set[str]:
    """Keys that runs need: of their steps, and of the models that adapters among these sit on."""
    needed: set[str] = set()
    queue = [str(step["key"]) for run in runs for step in run.data["steps"].values()]
    while queue:
        key = queue.pop()
        if key not in needed:
            needed.add(key)
            artifact = store.get(key)
            base = artifact.manifest.get("base") if artifact else None
            if base and "artifact" in base:
                queue.append(str(base["artifact"]))
    return needed
