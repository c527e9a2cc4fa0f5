"""Which distribution a loaded class came from: every message about a plugin names it and its version."""

from __future__ import annotations

from typing import Any

from itune_core.plugins.catalog import Entry

_entries: dict[type[Any], Entry] = {}


def remember(loaded: type[Any], entry: Entry) -> None:
    """Note that `loaded` is what `entry` published."""
    _entries[loaded] = entry


def describe(plugin: object) -> str:
    """``trainers/dpo (itune-trainers 0.1.0)`` for a loaded class or an instance of one, else where it is defined."""
    cls = plugin if isinstance(plugin, type) else type(plugin)
    entry = _entries.get(cls)
    return str(entry) if entry else f"{cls.__module__}:{cls.__qualname__}"
