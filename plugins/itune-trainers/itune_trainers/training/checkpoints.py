"""Checkpoints that are whole or absent: written under another name, then renamed. Safetensors and JSON, no pickle."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

PART = ".part"


class Checkpoints:
    """The checkpoints of one training; the newest is kept.

    Args:
        folder: their own folder.
        writes: whether this process is the one of several that writes them; all read them.
    """

    def __init__(self, folder: Path, *, writes: bool = True) -> None:
        self.folder, self.writes = folder, writes

    def save(self, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Write the state after `step` steps, then remove what is older.

        A process killed at any moment leaves the old checkpoint or the new one, each whole.
        """
        from safetensors.torch import save_file

        if not self.writes:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        final = self.folder / f"step-{step:09d}"
        part = final.with_suffix(PART)
        for left in self.folder.glob(f"*{PART}"):
            shutil.rmtree(left)
        part.mkdir()
        save_file(dict(tensors), part / "state.safetensors")
        (part / "state.json").write_text(json.dumps({"step": step, **state}), "utf-8")
        for path in (*part.iterdir(), part):
            _flush(path)
        os.replace(part, final)
        _flush(self.folder)
        for older in self._finished()[:-1]:
            shutil.rmtree(older)

    def last(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Tensors and state of the newest checkpoint; None if there is none. State has ``step``."""
        from safetensors.torch import load_file

        finished = self._finished()
        if not finished:
            return None
        folder = finished[-1]
        return load_file(folder / "state.safetensors"), json.loads((folder / "state.json").read_text("utf-8"))

    def _finished(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("step-*") if path.suffix != PART)


def _flush(path: Path) -> None:
    """Have the disk hold it before anything that follows: a rename must not overtake the bytes it publishes."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
