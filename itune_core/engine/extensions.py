"""The extensions that a recipe turns on: wrappers around stages, and observers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from itune_core.engine.keys import code_identity, settings
from itune_core.plugins import catalog, loader, policy, session
from itune_core.plugins.catalog import Entry


@dataclass(frozen=True)
class Extension:
    """A loaded extension and what its wrapping adds to a key."""

    entry: Entry
    instance: Any

    def wraps(self, stage: str) -> bool:
        return session.wraps(self.instance, stage)

    @property
    def key_part(self) -> Mapping[str, Any]:
        return {
            "name": self.entry.name,
            "code": code_identity(self.entry),
            "config": settings(self.instance.config) if hasattr(self.instance, "config") else {},
        }


def load(wanted: Mapping[str, Mapping[str, Any]], rules: policy.Policy) -> list[Extension]:
    """The extensions of a compiled recipe, in its order; the first is the outermost wrapper.

    Raises:
        PluginError: one cannot be found, is not allowed or breaks the contract.
    """
    loaded = []
    for name, values in wanted.items():
        entry = catalog.find("extensions", name, rules.prefer)
        policy.check(entry, rules)
        cls: Any = loader.load(entry, rules)
        loaded.append(Extension(entry, cls(cls.Config(**values)) if hasattr(cls, "Config") else cls()))
    return loaded
