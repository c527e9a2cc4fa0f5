"""Who a new distribution is by: what was said, else what git knows."""

from __future__ import annotations

import subprocess

from itune_core.scaffold.errors import ScaffoldError


def find_author(said: str | None) -> str | None:
    """The author's name: `said`, else git's ``user.name``; None where neither says it.

    Raises:
        ScaffoldError: ``E-SCAFFOLD-005`` it is empty, or not one line of printable text.
    """
    name = _from_git() if said is None else said.strip()
    if name is not None and (not name or not name.isprintable()):
        raise ScaffoldError(
            "E-SCAFFOLD-005",
            f"{name!r} cannot be an author's name",
            why="it stands in the licence and in the metadata: one line of printable text",
            fix='write --author "Ada Lovelace"',
        )
    return name


def _from_git() -> str | None:
    try:
        asked = subprocess.run(["git", "config", "--get", "user.name"], capture_output=True, text=True, check=False)
    except FileNotFoundError:  # no git on this machine
        return None
    return asked.stdout.strip() or None
