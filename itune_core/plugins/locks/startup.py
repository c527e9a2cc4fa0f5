"""``.pth`` files that run code at every start of Python, before anything can be verified."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from itune_core.plugins import records
from itune_core.plugins.installed import installed

_OF_VIRTUALENV = ("_virtualenv.pth", "import _virtualenv")
"""Virtualenv and uv write it into each environment that they make."""


def nobodys_startup_files(sites: Iterable[Path]) -> Iterator[Path]:
    """``.pth`` files of `sites` that run code and are in no distribution's list of its files.

    One that only names folders is none of them: those come last on Python's path, where they hide nothing.
    """
    for site in sorted(frozenset(sites)):
        running = {path.name for path in site.glob("*.pth") if _runs_code(path)}
        if running:
            for other in installed([str(site)]).values():
                running -= records.listed(other) or set()
                if not running:
                    break
        yield from (site / name for name in sorted(running))


def _runs_code(path: Path) -> bool:
    try:
        text = path.read_text("utf-8-sig", errors="replace")
    except OSError:  # Python's start passes it over, too
        return False
    if (path.name, text.strip()) == _OF_VIRTUALENV:
        return False
    return any(line.startswith(("import ", "import\t")) for line in text.splitlines())
