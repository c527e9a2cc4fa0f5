"""A bench for one component, without a recipe and without a store: its settings, and what it is handed."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from itune_core.api.errors import RecipeError

if TYPE_CHECKING:
    from itune_core.api.components import Component
    from itune_core.api.outcomes import Rule
    from itune_core.engine.opened import Served
    from itune_core.plugins.policy import Policy


def setting(text: str) -> tuple[str, Any]:
    """Name and value of a ``--with``."""
    key, separator, value = text.partition("=")
    if not separator:
        raise RecipeError("E-TRY-002", f"--with {text!r} has no '='", fix="write --with key=value")
    try:
        return key, float(value) if value.lower().count("e") == 1 and value[0].isdigit() else yaml.safe_load(value)
    except (yaml.YAMLError, ValueError):
        return key, value


def configure(cls: type[Component], label: str, values: Mapping[str, Any]) -> Component:
    """A component with these settings."""
    try:
        return cls(cls.Config(**values))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise RecipeError(
            "E-TRY-003", f"{label}: {where}: {first['msg']}", fix=f"itune plugins show {label} lists its settings"
        ) from error


def settled(component: Component, folder: Path) -> Component:
    """A component whose ``auto`` settings suit this machine."""
    from itune_core.engine.facts import MachineFacts

    return type(component)(component.settle(MachineFacts(folder / "machine.json")))


def bench_context(label: str, seed: int, folder: Path, policy: Policy, *, offline: bool = False) -> Any:
    """A context in which a model's name is what a recipe would write under ``model:``; all it keeps is in `folder`."""
    from itune_core.api.randomness import derive_seed
    from itune_core.engine.context import StepContext
    from itune_core.engine.digest import FileDigests
    from itune_core.engine.facts import MachineFacts
    from itune_core.engine.journal import Journal
    from itune_core.engine.local import map_local
    from itune_core.engine.models import Resolver
    from itune_core.engine.serving import Serving
    from itune_core.plugins import functions

    resolver = Resolver(FileDigests(folder / "digests.json"), offline, Path.cwd())
    facts = MachineFacts(folder / "machine.json")
    serving = Serving(
        lambda spec: _served(spec, resolver, facts, policy),
        Journal(folder / "journal.sqlite"),
        lambda *place: derive_seed(seed, label, *place),
    )
    return StepContext(
        scratch=folder,
        seed=seed,
        component=label,
        code="",
        models=resolver.find,
        rules=_no_rule,
        functions=lambda value: functions.load(value, policy),
        serving=serving,
        mapper=lambda function, items: map_local(function, items, 1),
        part=lambda key, make: _part(folder / key, make),
        report=lambda done, total, figures: None,
    )


def _no_rule(name: str) -> Rule:
    raise RecipeError("E-TRY-006", f"there is no step {name!r} here to have left a rule", fix="try it in a recipe")


def _part(folder: Path, make: Any) -> Path:
    """A folder that is whole or absent, as in the store: what one check failed to make, the next one makes anew."""
    if not folder.exists():
        draft = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
        make(draft)
        draft.replace(folder)
    return folder


def _served(spec: str, resolver: Any, facts: Any, policy: Policy) -> Served:
    from itune_core.engine.opened import Served
    from itune_core.plugins import catalog, loader

    cls: Any = loader.load(catalog.find("backends", "transformers"), policy)
    backend = cls(cls(cls.Config(model=spec)).settle(facts))
    source = resolver.find(spec)
    return Served(backend, source, source.identity)
