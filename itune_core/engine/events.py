"""What a run says while it works: lines in ``events.jsonl``, always, and calls to whoever shows it to a person."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

EVERY = 2.0
"""Seconds between progress lines of one step in the file; a listener hears of every report."""

Listener = Callable[[Mapping[str, Any]], None]


class Events:
    """The event stream of one run.

    Args:
        path: the JSON-lines file, appended to.
        listener: called with each event; draws the progress bar.
    """

    def __init__(self, path: Path | None = None, listener: Listener | None = None) -> None:
        self._stream = path.open("a", encoding="utf-8", buffering=1) if path else None
        self._listener = listener
        self._written: dict[str, float] = {}

    def close(self) -> None:
        if self._stream:
            self._stream.close()

    def say(self, event: str, **facts: Any) -> None:
        """Something happened."""
        self._emit({"event": event, **facts}, write=True)

    def progress(self, step: str, done: int, total: int | None, figures: Mapping[str, float]) -> None:
        """A step is this far."""
        now = time.monotonic()
        due = now - self._written.get(step, float("-inf")) >= EVERY or done in (0, total)
        if due:
            self._written[step] = now
        self._emit({"event": "progress", "step": step, "done": done, "total": total, **figures}, write=due)

    def _emit(self, event: dict[str, Any], *, write: bool) -> None:
        if write and self._stream:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            self._stream.write(json.dumps({"at": stamp, **event}, ensure_ascii=False) + "\n")
        if self._listener:
            self._listener(event)
