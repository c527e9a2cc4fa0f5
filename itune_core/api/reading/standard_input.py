"""``-``: standard input, kept in a file, because the engine digests rows before it reads them."""

from __future__ import annotations

import atexit
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path

from itune_core.api.errors import DataError

PATH = "-"
"""What stands for standard input where a path is asked for."""


@cache
def spooled() -> Path:
    """The file that standard input was copied to, at the first call in this process; it goes when the process ends.

    Raises:
        DataError: ``E-DATA-031`` nothing is fed into standard input.
    """
    if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
        raise DataError(
            "E-DATA-031",
            "nothing is fed into standard input, which '-' stands for",
            fix="pipe the rows in: `cat rows.jsonl | itune ...`",
        )
    with tempfile.NamedTemporaryFile(prefix="itune-standard-input-", delete=False) as file:
        path = Path(file.name)
        atexit.register(path.unlink, missing_ok=True)
        shutil.copyfileobj(sys.stdin.buffer, file)
    return path


def shown(path: Path) -> str:
    """How a file is called in messages and in the ledger."""
    return "standard input" if is_standard_input(path) else str(path)


def is_standard_input(path: Path) -> bool:
    """Whether `path` is the file that standard input was copied to."""
    return spooled.cache_info().currsize > 0 and path == spooled()
