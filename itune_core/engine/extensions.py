"""The extensions that a recipe turns on: wrappers around stages, and observers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from itune_core.api.fields import FUNCTION, INPUT_FILE
from itune_core.engine.keys import code_identity, contents, dependencies, function_identity, settings
from itune_core.plugins import catalog, loader, policy, session
from itune_core.plugins.catalog import Entry


@dataclass(frozen=True)
class Extension:
    """A loaded extension and what its wrapping adds to a key."""

    entry: Entry
    instance: Any

    def wraps(self, stage: str) -> bool:
        return session.wraps(self.instance, stage)

    def key_part(self, file: Callable[[Path], str]) -> Mapping[str, Any]:
        """What stands in the key of a step that it wraps; `file` gives the digest of an input file."""
        return {
            "name": self.entry.name,
            "code": code_identity(self.entry),
            **dependencies(self.instance),
            "config": settings(self.instance.config, {INPUT_FILE: contents(file), FUNCTION: function_identity})
            if hasattr(self.instance, "config")
            else {},
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
