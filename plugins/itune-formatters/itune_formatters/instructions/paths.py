"""Values inside a row by path: ``answers[0].text``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from itune_core.api import RowError

PATH = re.compile(r"[^.\[\]]+(\.[^.\[\]]+|\[(-?\d+|\*)\])*")
STEP = re.compile(r"\.?(?P<name>[^.\[\]]+)|\[(?P<index>-?\d+|\*)\]")
ALL = "[*]"

Step = str | int


@lru_cache(maxsize=1024)
def steps(path: str) -> tuple[Step, ...]:
    """A path's steps: names of fields, numbers of items, or :data:`ALL` for every item.

    Raises:
        ValueError: it is not well formed.
    """
    if not PATH.fullmatch(path):
        raise ValueError("a path to a field: name, name.inner, name[0] or name[*].inner")
    found: list[Step] = []
    for step in STEP.finditer(path):
        index = step["index"]
        found.append(step["name"] if index is None else ALL if index == "*" else int(index))
    return tuple(found)


def at(row: Mapping[str, Any], path: str) -> Any:
    """What stands at `path`: the field of exactly that name, else what its steps lead to. ``[*]`` gives a list.

    Raises:
        RowError: ``E-FORMAT-031`` it leads nowhere.
    """
    if path in row:
        return row[path]
    try:
        return _walk(row, steps(path))
    except LookupError as error:
        raise RowError(f"the row has nothing at {path!r}", "E-FORMAT-031", why=f"it has {sorted(row)}") from error


def _walk(value: Any, way: Sequence[Step]) -> Any:
    for number, step in enumerate(way):
        if step == ALL and isinstance(value, list):
            return [_walk(item, way[number + 1 :]) for item in value]
        if isinstance(value, list) != isinstance(step, int) or not isinstance(value, (list, Mapping)):
            raise LookupError(step)
        holder: Any = value
        value = holder[step]
    return value
