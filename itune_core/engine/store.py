"""The store: published artifacts by key, each made once, each visible only when whole.

``store/<key>/`` is an artifact: ``artifact.json`` (the manifest), ``ledger.jsonl``, and its content.
``store/work/<key>/`` is the scratch of a step being made; it outlives a killed run. ``store/parts/<key>/`` are named
parts shared by steps.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from itune_core.engine.home import Home

MANIFEST = "artifact.json"


@dataclass(frozen=True)
class Artifact:
    """A published artifact: its folder and manifest."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def key(self) -> str:
        return str(self.manifest["key"])

    def digest(self, output: str) -> str:
        """The published digest of one output: what enters the keys of steps that read it."""
        return str(self.manifest["outputs"][output]["digest"])


class Store:
    """The artifacts of one project."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.root = home.store

    def get(self, key: str) -> Artifact | None:
        """The artifact of that key, or None."""
        try:
            text = (self.root / key / MANIFEST).read_text("utf-8")
        except FileNotFoundError:
            return None
        return Artifact(self.root / key, json.loads(text))

    def all(self) -> Iterator[Artifact]:
        """Every artifact, oldest first."""
        found = [artifact for path in self.root.glob(f"*/{MANIFEST}") if (artifact := self.get(path.parent.name))]
        return iter(sorted(found, key=lambda artifact: str(artifact.manifest["created"])))

    @contextmanager
    def making(self, key: str) -> Iterator[Path]:
        """Hold the right to make the artifact `key`, and give its scratch folder.

        Two runs that need one artifact come here one after the other; the second finds it published.
        """
        self.home.locks.mkdir(parents=True, exist_ok=True)
        with FileLock(self.home.locks / f"{key}.lock"):
            scratch = self.root / "work" / key
            scratch.mkdir(parents=True, exist_ok=True)
            yield scratch

    @contextmanager
    def draft(self, key: str) -> Iterator[Path]:
        """A folder to fill; renamed into place when the block ends well, removed when it does not."""
        drafts = self.root / "drafts"
        drafts.mkdir(parents=True, exist_ok=True)
        for left in drafts.glob(f"{key}.*"):  # of a killed run: the caller holds the lock of this key
            shutil.rmtree(left)
        folder = Path(tempfile.mkdtemp(prefix=f"{key}.", dir=drafts))
        try:
            yield folder
            _sync(folder)
            folder.rename(self.root / key)
        finally:
            if folder.exists():
                shutil.rmtree(folder)
        shutil.rmtree(self.root / "work" / key, ignore_errors=True)

    def part(self, key: str, make: Callable[[Path], None]) -> Path:
        """The shared part `key`, made by `make` (given an empty folder) if it is not there."""
        folder = self.root / "parts" / key
        if folder.exists():
            return folder
        self.home.locks.mkdir(parents=True, exist_ok=True)
        with FileLock(self.home.locks / f"part-{key}.lock"):
            if not folder.exists():
                folder.parent.mkdir(parents=True, exist_ok=True)
                draft = folder.with_name(f"{key}.draft")
                if draft.exists():
                    shutil.rmtree(draft)
                draft.mkdir()
                make(draft)
                _sync(draft)
                draft.rename(folder)
        return folder

    def size(self, artifact: Artifact) -> int:
        """Bytes on disk."""
        return sum(path.stat().st_size for path in artifact.folder.rglob("*") if path.is_file())

    def remove(self, artifact: Artifact) -> None:
        """Delete an artifact: the manifest first, so that a half-deleted one is never read as whole."""
        (artifact.folder / MANIFEST).unlink()
        shutil.rmtree(artifact.folder)

    def loose(self) -> int:
        """Bytes of what no artifact owns: see :meth:`sweep`."""
        return sum(path.stat().st_size for folder in self._loose() for path in folder.rglob("*") if path.is_file())

    def sweep(self) -> int:
        """Delete what no artifact owns: drafts, scratch of killed runs, shared parts. Returns bytes freed.

        Only to be called while nothing runs.
        """
        freed = self.loose()
        for folder in self._loose():
            shutil.rmtree(folder)
        return freed

    def _loose(self) -> list[Path]:
        return [folder for name in ("drafts", "work", "parts") if (folder := self.root / name).exists()]


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest into a draft; last, since its presence says that the rest is there."""
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")


def _sync(folder: Path) -> None:
    """Push a finished folder to disk before the rename makes it visible."""
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
