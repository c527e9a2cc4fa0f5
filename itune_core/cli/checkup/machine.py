"""The machine: Python, memory, and the folders that must be written to."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from itune_core.cli.checkup.finding import Finding
from itune_core.engine.home import Home, user_cache

GIB = 2**30


def machine() -> Iterator[Finding]:
    """Python, memory, room on disk."""
    old = sys.version_info < (3, 11)
    yield Finding(
        "python",
        not old,
        f"{platform.python_version()} at {sys.executable}",
        "make a virtual environment with Python 3.11 or newer" if old else None,
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    yield Finding(
        "memory",
        memory >= 4,
        f"{memory:.0f} GiB, {os.cpu_count()} cores",
        None if memory >= 4 else "the quickstart wants 3 GiB: close other programs, or use a larger machine",
    )
    there = _nearest(user_cache())
    free = shutil.disk_usage(there).free / GIB
    yield Finding(
        "disk",
        free >= 2,
        f"{free:.0f} GiB free at {there}",
        None if free >= 2 else "the embedded model wants 1 GiB: make room, or point ITUNE_CACHE at a larger disk",
    )


def folders() -> Iterator[Finding]:
    """The folders that work is kept in, and whether they can be written to; none is made."""
    for subject, folder, variable in (
        ("project folder", Home.here().root, "ITUNE_HOME"),
        ("cache of models", user_cache(), "ITUNE_CACHE"),
        ("cache of the model hub", hub_cache(), "HF_HUB_CACHE"),
    ):
        refused = _refused(folder)
        if refused is None:
            yield Finding(subject, True, f"{folder}{'' if folder.exists() else ' (made when first needed)'}")
        else:
            why = refused.strerror or type(refused).__name__
            yield Finding(subject, False, f"{folder} cannot be written to: {why}", _advice(folder, refused, variable))


def hub_cache() -> Path:
    """Where huggingface_hub keeps what it fetches: by its own variables, without importing it."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or os.path.join(cache, "huggingface")
    hub = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE") or os.path.join(home, "hub")
    return Path(os.path.expandvars(hub)).expanduser().absolute()


def _nearest(folder: Path) -> Path:
    """The folder, or what there is of the way to it."""
    while not folder.exists():
        folder = folder.parent
    return folder


def _refused(folder: Path) -> OSError | None:
    """Why nothing can be written into a folder, or into the nearest one above it that is there; None if it can."""
    try:
        with tempfile.TemporaryFile(dir=_nearest(folder)):
            return None
    except OSError as error:
        return error


def _advice(folder: Path, refused: OSError, variable: str) -> str:
    match refused.errno:
        case errno.ENOTDIR:
            return f"{_nearest(folder)} is a file: move it away, or set {variable}"
        case errno.ENOSPC | errno.EDQUOT:
            return f"make room on its disk, or set {variable}"
        case errno.EROFS:
            return f"its disk can only be read: set {variable} to a folder on another"
        case errno.EACCES | errno.EPERM:
            return f"mend its rights, or set {variable}"
        case _:
            return f"set {variable} to a folder that can be written to"
