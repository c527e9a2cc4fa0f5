"""Processes start together and end together, whoever of them or of those above them ends first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from itune_trainers.launch.processes import Processes, log_file

ENVIRONMENT = dict(os.environ)
SLEEPS = "import time; print('up', flush=True); time.sleep(600)"
ENDS_WITH_ITS_PARENT = """
import threading, time
from itune_trainers.launch.worker import _end_with_the_parent
threading.Thread(target=_end_with_the_parent, daemon=True).start()
print("up", flush=True)
time.sleep(600)
"""
PARENT = """
import os, sys
from pathlib import Path
import psutil
from itune_trainers.launch.processes import Processes

with Processes([sys.executable, "-c", sys.argv[2]], [dict(os.environ)] * 2, Path(sys.argv[1])) as group:
    next(group.lines())
    print(*(child.pid for child in psutil.Process().children()), flush=True)
    sys.stdin.read()
"""


def started(folder: Path, *programs: str) -> Processes:
    """Processes that run one program each."""
    choose = "import os; exec(os.environ['PROGRAM'])"
    environments = [{**ENVIRONMENT, "PROGRAM": program} for program in programs]
    return Processes([sys.executable, "-c", choose], environments, folder)


@pytest.mark.timeout(60)
def test_all_that_the_first_says_is_heard(tmp_path: Path) -> None:
    with started(tmp_path, "print('one'); print('two')", "print('not heard')") as group:
        assert list(group.lines()) == ["one\n", "two\n"]
        assert group.failed is None
    assert log_file(tmp_path, 1).read_text() == "not heard\n"


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("program", "code"),
    [("raise SystemExit(7)", 7), ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL)],
)
def test_one_that_fails_ends_the_others(tmp_path: Path, program: str, code: int) -> None:
    before = psutil.Process().children()  # other tests of this process have theirs
    with started(tmp_path, SLEEPS, program) as group:
        children = [child for child in psutil.Process().children() if child not in before]
        list(group.lines())
        assert group.failed == (1, code)
    assert not any(child.is_running() for child in children)


@pytest.mark.timeout(60)
def test_none_is_left_where_the_parent_gives_up(tmp_path: Path) -> None:
    before = psutil.Process().children()
    children: list[psutil.Process] = []

    def interrupted() -> None:
        with started(tmp_path, SLEEPS, SLEEPS) as group:
            children.extend(child for child in psutil.Process().children() if child not in before)
            next(group.lines())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(children) == 2
    assert not any(child.is_running() for child in children)


@pytest.mark.timeout(60)
def test_none_outlives_a_killed_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path), ENDS_WITH_ITS_PARENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    children = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
    assert len(children) == 2
    parent.kill()
    parent.communicate()
    gone = [child for child in children if _ended(child)]
    assert gone == children


def _ended(process: psutil.Process) -> bool:
    """Whether it ends, of itself. What has ended may still be listed, where nobody reaps orphans."""
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        psutil.wait_procs([process], timeout=0.1)
    return True
