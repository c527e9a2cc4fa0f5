"""Names in a recipe, and the name that was probably meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
"""Models, steps, outputs, variables and axes. Lower case and snake case, because a step's name becomes a column."""

RUN_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}\Z")
"""The recipe's own name, which becomes part of a folder's name."""


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """The choice that `name` is most likely a slip of, or None if none is close."""
    candidates = list(choices)
    folded = {candidate.casefold().replace("-", "_"): candidate for candidate in reversed(candidates)}
    found = difflib.get_close_matches(name.casefold().replace("-", "_"), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else None


def suggestion(name: str, choices: Iterable[str], otherwise: str | None = None) -> str | None:
    """What to do about an unknown `name`: the nearest choice, else `otherwise`."""
    match = nearest(name, choices)
    return f"did you mean {match!r}?" if match else otherwise


def listed(choices: Iterable[str], none: str = "nothing") -> str:
    """Choices for a message: ``a, b or c``."""
    names = list(choices)
    if not names:
        return none
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
