"""How the benchmarks measure: CPU time of whole processes, one thread each, taking turns."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple

THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
QUIET = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


class Spent(NamedTuple):
    """What a process used: CPU seconds (user and system) of it and all it started, its peak memory (that of the largest
    process, in 10^6 bytes), and what it printed."""

    cpu: float
    peak_mb: float
    printed: str


@dataclass
class Contender:
    """One way to do the work.

    Attributes:
        name: in the table.
        run: does the work once in a process of its own, through :func:`spent`; gives what it reports.
        turns: what each turn gave: ``cpu`` seconds and whatever `run` reported.
    """

    name: str
    run: Callable[[int], dict[str, Any]]
    turns: list[dict[str, Any]] = field(default_factory=list)

    @property
    def cpu(self) -> float:
        """The least of the turns: load on the machine only ever adds."""
        return min(float(turn["cpu"]) for turn in self.turns)


def spent(command: Sequence[str], *, folder: Path, environment: Mapping[str, str] | None = None) -> Spent:
    """Run a command to its end.

    Raises:
        SystemExit: it failed.
    """
    with TemporaryFile() as printed, TemporaryFile() as complaints:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **THREADS, **QUIET, **(environment or {})},
            stdout=printed,
            stderr=complaints,
        )
        _, status, used = os.wait4(process.pid, 0)  # also counts the children that it waited for
        process.returncode = os.waitstatus_to_exitcode(status)
        texts = []
        for stream in (printed, complaints):
            stream.seek(0)
            texts.append(stream.read().decode())
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{texts[1][-4000:]}")
    return Spent(used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e6, texts[0])


def race(contenders: Sequence[Contender], repeats: int) -> None:
    """Let all run in turn, `repeats` times, so that a busy minute meets them all."""
    for turn in range(repeats):
        for contender in contenders:
            contender.turns.append(contender.run(turn))
            print(f"turn {turn + 1}/{repeats} {contender.name}: {contender.turns[-1]['cpu']:.1f} s", file=sys.stderr)


def table(contenders: Sequence[Contender], base: Contender, columns: Sequence[str] = ()) -> str:
    """Least and median CPU time, the ratio to `base`, and more columns from the last turn."""
    lines = [f"{'':34}{'cpu s':>9}{'median':>9}{'ratio':>8}" + "".join(f"{column:>14}" for column in columns)]
    for contender in contenders:
        median = statistics.median(float(turn["cpu"]) for turn in contender.turns)
        line = f"{contender.name:34}{contender.cpu:>9.1f}{median:>9.1f}{contender.cpu / base.cpu:>7.2f}x"
        for column in columns:
            value = contender.turns[-1].get(column)
            line += f"{'' if value is None else f'{value:.5f}':>14}"
        lines.append(line)
    return "\n".join(lines)


def save(path: Path | None, contenders: Sequence[Contender], base: Contender, **settings: Any) -> None:
    """Write everything that was measured, with the versions and the machine it was measured with, as JSON."""
    if path is None:
        return
    result = {
        **settings,
        "base": base.name,
        "contenders": {
            contender.name: {"cpu": contender.cpu, "ratio": contender.cpu / base.cpu, "turns": contender.turns}
            for contender in contenders
        },
        **facts(),
    }
    path.write_text(json.dumps(result, indent=2) + "\n", "utf-8")


def facts() -> dict[str, Any]:
    """The versions, the machine and the day, as they stand in every result."""
    from importlib.metadata import version

    packages = ("torch", "transformers", "peft", "trl", "datasets", "itune-core", "itune-trainers", "itune-torch")
    return {
        "versions": {name: version(name) for name in packages},
        "python": sys.version.split()[0],
        "machine": _machine(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def _machine() -> dict[str, Any]:
    """What the times depend on beside the programs; the load is that of the last minute."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text("utf-8").splitlines() if facts.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "platform": platform.platform(),
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
    }
