"""The worker processes, seen from the parent: started together, ended together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType


class Processes:
    """A group of processes that run one command; a context, at whose end none of them is left.

    One that fails ends the others. One whose parent ends, even by SIGKILL, reads the end of its standard input.

    Args:
        command: what all run.
        environments: of each.
        folder: each process's standard error goes to ``rank-N.log`` there, and so does standard output of all but the
            first.

    Attributes:
        failed: rank and exit code (negative: the signal) of the process that failed first; None while none has.
    """

    def __init__(self, command: Sequence[str], environments: Sequence[dict[str, str]], folder: Path) -> None:
        self.failed: tuple[int, int] | None = None
        self._lock = threading.Lock()
        self._processes: list[subprocess.Popen[str]] = []
        self._watchers: list[threading.Thread] = []
        self._command, self._environments, self._folder = command, environments, folder

    def __enter__(self) -> Processes:
        try:
            for rank, environment in enumerate(self._environments):
                with log_file(self._folder, rank).open("w") as log:
                    process = subprocess.Popen(
                        self._command,
                        env=environment,
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE if rank == 0 else log,
                        stderr=log,
                        text=True,
                        start_new_session=True,  # Ctrl-C is for the parent, which ends them
                    )
                self._processes.append(process)
        except BaseException:
            self._end()
            raise
        for rank in range(len(self._processes)):
            watcher = threading.Thread(target=self._watch, args=(rank,), daemon=True)
            watcher.start()
            self._watchers.append(watcher)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def lines(self) -> Iterator[str]:
        """What the first process says, until it ends. All have ended then."""
        output = self._processes[0].stdout
        assert output is not None
        yield from output
        for watcher in self._watchers:
            watcher.join()

    def _watch(self, rank: int) -> None:
        """Wait for a process; if it is the first to fail, end the others."""
        code = self._processes[rank].wait()
        if code == 0:
            return
        with self._lock:
            if self.failed is not None:
                return
            self.failed = rank, code
        for process in self._processes:
            _end(process)

    def _end(self) -> None:
        for process in self._processes:
            _end(process)
        for process in self._processes:
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()


def _end(process: subprocess.Popen[str]) -> None:
    # Its whole session: a data loader or a compiler that it has started goes with it.
    if process.poll() is None:
        with suppress(ProcessLookupError):  # it has ended between the question and the signal
            os.killpg(process.pid, signal.SIGKILL)


def log_file(folder: Path, rank: int) -> Path:
    """Where a process's messages are."""
    return folder / f"rank-{rank}.log"


def worker_command(module: str, *arguments: str) -> list[str]:
    """A command that runs a module of this Python."""
    return [sys.executable, "-m", module, *arguments]
