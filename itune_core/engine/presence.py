"""Who is at work in a project: locks that the system lets go of when their holder ends, however it ends."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from itune_core.engine.errors import StoreError
from itune_core.engine.home import Home
from itune_core.engine.runs import RunRecord

AT_WORK = "at-work.lock"


@contextmanager
def at_work(home: Home) -> Iterator[None]:
    """Hold off the clearing of the store; waits while it is being cleared. Runs do not disturb each other."""
    with _locked(home.use, fcntl.LOCK_SH):
        yield


@contextmanager
def alone(home: Home) -> Iterator[None]:
    """Hold off runs.

    Raises:
        StoreError: ``E-STORE-006`` a run is going on.
    """
    with ExitStack() as held:
        try:
            held.enter_context(_locked(home.use, fcntl.LOCK_EX | fcntl.LOCK_NB))
        except BlockingIOError:
            raise StoreError(
                "E-STORE-006", "a run is going on here", where=str(home.root), fix="wait for its end, or interrupt it"
            ) from None
        yield


@contextmanager
def present(run: Path) -> Iterator[None]:
    """Show for as long as the block lasts that the run with this folder goes on."""
    with _locked(run / AT_WORK, fcntl.LOCK_EX):
        yield


def state(run: RunRecord) -> str:
    """``running``, ``done``, ``failed``, ``interrupted``, or ``killed``: never closed, and its process is gone."""
    recorded = str(run.data["state"])
    return "killed" if recorded == "running" and not _is_present(run.folder) else recorded


def _is_present(run: Path) -> bool:
    if not (run / AT_WORK).exists():
        return False
    try:
        with _locked(run / AT_WORK, fcntl.LOCK_SH | fcntl.LOCK_NB):
            return False
    except BlockingIOError:
        return True


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, how)
        yield
