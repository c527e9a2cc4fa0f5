"""Who is at work: told by locks, which a killed process cannot leave behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from itune_core.engine.errors import StoreError
from itune_core.engine.home import Home
from itune_core.engine.presence import alone, at_work, present, state
from itune_core.engine.runs import RunRecord


def _work(home: Home, folder: Path, ready: Path) -> None:
    with at_work(home), present(folder):
        ready.touch()
        time.sleep(60)


def test_a_killed_run_is_no_longer_there(tmp_path: Path) -> None:
    home, run = Home(tmp_path), RunRecord(tmp_path / "runs" / "a", {"state": "running"})
    assert state(run) == "killed"  # its process never came so far as to take the lock
    ready = tmp_path / "ready"
    worker = multiprocessing.get_context("fork").Process(target=_work, args=(home, run.folder, ready))
    worker.start()
    deadline = time.monotonic() + 30
    while not ready.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert state(run) == "running"
    with pytest.raises(StoreError, match="E-STORE-006"), alone(home):
        pass
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    assert state(run) == "killed"
    with alone(home):
        pass


def test_runs_do_not_hold_each_other_off(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with at_work(home), at_work(home), pytest.raises(StoreError, match="E-STORE-006"), alone(home):
        pass


def test_a_closed_record_says_what_it_says(tmp_path: Path) -> None:
    assert state(RunRecord(tmp_path, {"state": "failed"})) == "failed"
