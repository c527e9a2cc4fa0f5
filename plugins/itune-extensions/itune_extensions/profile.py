"""What each step of a run costs: time, processor, memory."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from itune_core.api import hookimpl
from itune_extensions.memory import PeakMemory
from itune_extensions.notes import Cell, leave

COLUMNS = ("step", "component", "", "seconds", "CPU seconds", "of children", "peak MiB", "grown by MiB")


class Profile:
    """Measures each step and leaves a table in the run's report. It never enters a key and changes no result.

    - seconds: by the clock;
    - CPU seconds: user and system, of this process with all its threads, and of the processes it started and waited
      for in the step (workers);
    - peak MiB: the most resident memory of this process in the step, children not included. On Linux the kernel counts
      it (``VmHWM``, set back as each step begins); elsewhere it is the highest of samples, 20 ms apart;
    - grown by MiB: that peak above what was held as the step began.

    A step taken from the store is shown as reused, and costs nothing. One that failed is shown with what it cost until
    then. The table is rewritten after every step, so a killed run leaves that of its finished steps.

    Source: this package; the kernel's mark as in proc(5).
    """

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._rows: list[list[Cell]] = []
        self._current: _Measure | None = None

    @hookimpl
    def itune_run_started(self, folder: Path) -> None:
        self._folder, self._rows, self._current = folder, [], None

    @hookimpl
    def itune_step_started(self, step: str, component: str) -> None:
        self._current = _Measure(step, component)

    @hookimpl
    def itune_step_finished(self, step: str, component: str, manifest: Mapping[str, Any]) -> None:
        measure, self._current = self._current, None
        if measure is not None and measure.step == step and not manifest["reused"]:
            self._write(measure.row("made"))
        else:
            self._write([step, component, "reused", *[None] * 5])

    @hookimpl
    def itune_run_finished(self) -> None:
        measure, self._current = self._current, None
        if measure is not None:
            self._write(measure.row("not finished"))

    def _write(self, row: list[Cell]) -> None:
        self._rows.append(row)
        if self._folder is not None:
            leave(self._folder, "profile", "What each step cost", COLUMNS, self._rows)


class _Measure:
    """One step while it runs."""

    def __init__(self, step: str, component: str) -> None:
        self.step, self.component = step, component
        self._clock, self._cpu = time.monotonic(), os.times()
        self._memory = PeakMemory()
        self._held = _resident()

    def row(self, state: str) -> list[Cell]:
        peak, clock, cpu = self._memory.end(), time.monotonic(), os.times()
        own = cpu.user + cpu.system - self._cpu.user - self._cpu.system
        children = cpu.children_user + cpu.children_system - self._cpu.children_user - self._cpu.children_system
        return [
            self.step,
            self.component,
            state,
            round(clock - self._clock, 3),
            round(own, 3),
            round(children, 3),
            round(peak / 2**20, 1),
            round(max(0, peak - self._held) / 2**20, 1),
        ]


def _resident() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)
