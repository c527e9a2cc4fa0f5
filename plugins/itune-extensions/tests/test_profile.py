"""What steps cost: against work whose cost is known."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from itune_core.plugins.session import Observers, check_extension
from itune_core.report import write_report
from itune_extensions import memory
from itune_extensions.memory import PeakMemory
from itune_extensions.profile import COLUMNS, Profile

MIB = 2**20
ROWS = [{"instruction": f"Say {n}.", "input": "", "output": "one two"} for n in range(6)]


def hold(mib: int) -> None:
    """Hold so much memory for a moment."""
    block = bytearray(mib * MIB)
    block[::4096] = b"x" * len(block[::4096])


@pytest.fixture(params=["kernel", "samples"])
def peak(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], PeakMemory]:
    """Both ways to watch, wherever the first is there at all."""
    if request.param == "samples":
        monkeypatch.setattr(memory, "CLEAR", tmp_path / "absent" / "clear_refs")

    def watch() -> PeakMemory:
        made = PeakMemory()
        assert made.exact == (request.param == "kernel" and sys.platform == "linux")
        return made

    return watch


def test_a_peak_is_seen_and_forgotten_by_the_next(peak: Callable[[], PeakMemory]) -> None:
    def watch(mib: int) -> float:
        watching = peak()
        if mib:
            block = bytearray(mib * MIB)
            block[::4096] = b"x" * len(block[::4096])
            time.sleep(3 * memory.INTERVAL)
            del block
        return watching.end() / MIB

    before, high, after = watch(0), watch(120), watch(0)
    assert 110 < high - before < 140
    assert abs(after - before) < 20


def test_the_kernel_misses_no_short_peak() -> None:
    watching = PeakMemory()
    held = watching.end()
    watching = PeakMemory()
    hold(150)
    assert watching.exact, "this system does not let us: the test would say nothing"
    assert watching.end() - held > 140 * MIB


def test_a_step_is_measured(tmp_path: Path) -> None:
    profile = Profile()
    warnings: list[str] = []
    observers = Observers([profile], warnings.append)
    observers.run_started("r", "recipe.yaml", tmp_path)
    observers.step_started("busy", "filters/busy", "k1")
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass
    subprocess.run([sys.executable, "-c", "for n in range(3_000_000): pass"], check=True)
    hold(100)
    time.sleep(0.1)
    observers.step_finished("busy", "filters/busy", "k1", {"reused": False})
    observers.step_finished("old", "filters/old", "k2", {"reused": True})
    observers.step_started("broken", "filters/broken", "k3")
    observers.run_finished("r", "it broke")
    assert warnings == []
    import json

    note = json.loads((tmp_path / "notes" / "profile.json").read_text())
    assert note["columns"] == list(COLUMNS)
    busy, old, broken = note["rows"]
    assert busy[:3] == ["busy", "filters/busy", "made"]
    seconds, own, children, peak, grown = busy[3:]
    assert 0.2 <= own < seconds
    assert 0.02 < children < seconds
    assert seconds >= own + 0.1
    assert 90 < grown < 130
    assert peak > grown
    assert old == ["old", "filters/old", "reused", None, None, None, None, None]
    assert broken[:3] == ["broken", "filters/broken", "not finished"]


def test_it_stands_in_the_report(run: Callable[..., Any]) -> None:
    first = run({"profile": {}}, ROWS)
    again = run({"profile": {}}, ROWS)
    plain = run({}, ROWS)
    assert first.warnings == again.warnings == []
    assert [row[2] for row in first.note("profile")["rows"]] == ["made"] * 3
    assert [row[2] for row in again.note("profile")["rows"]] == ["reused"] * 3
    steps = [done.outcome.record.data["steps"] for done in (first, plain)]
    assert all(steps[0][name]["key"] == steps[1][name]["key"] for name in steps[0]), "an observer enters no key"
    html = write_report(first.outcome.record, first.project.store).read_text("utf-8")
    assert "What each step cost" in html
    assert "CPU seconds" in html


def test_it_only_watches() -> None:
    assert not any(found.wraps for found in check_extension(Profile))
