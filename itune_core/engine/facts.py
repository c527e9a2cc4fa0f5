"""What was measured on this machine, once (``.itune/machine.json``)."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock


class MachineFacts:
    """Facts by name, kept apart for each machine that has used this project.

    Args:
        path: the JSON file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.machine = f"{platform.node()} {platform.machine()} {os.cpu_count()} cores"

    def _read(self) -> dict[str, dict[str, Any]]:
        return json.loads(self.path.read_text("utf-8")) if self.path.exists() else {}

    def get(self, name: str, measure: Callable[[], Any]) -> Any:
        """The fact `name`; `measure` is called only where this machine has not measured it."""
        known = self._read().get(self.machine, {})
        if name in known:
            return known[name]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path.with_suffix(".lock")):
            facts = self._read()
            mine = facts.setdefault(self.machine, {})
            if name not in mine:
                mine[name] = measure()
                draft = self.path.with_suffix(".tmp")
                draft.write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n", "utf-8")
                draft.replace(self.path)
            return mine[name]
