"""Functions that a setting names, ``package.module:function``: found, let in and imported as plugins are."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from itune_core.api.errors import PluginError
from itune_core.plugins import loader
from itune_core.plugins.catalog import Entry
from itune_core.plugins.installed import Installed, installed
from itune_core.plugins.policy import Policy, check_leave

STAGE = "functions"


@cache
def find(value: str) -> Entry:
    """The function as something installed, with the distribution that ships it. Nothing is imported.

    Raises:
        PluginError: ``E-PLUGIN-060`` it is not written as a function is; ``E-PLUGIN-061`` no installed distribution has
            its module.
    """
    module, colon, name = value.partition(":")
    parts = [*module.split("."), *name.split(".")]
    if not colon or not all(part.isidentifier() for part in parts):
        raise PluginError("E-PLUGIN-060", f"{value!r} names no function", fix="write it as package.module:function")
    package = parts[0]
    place = _place(package)
    owner = _owner(package, place) if place else None
    if owner is None:
        raise PluginError(
            "E-PLUGIN-061",
            f"{value} belongs to no installed distribution",
            where=str(place) if place else None,
            why="there is no such module" if place is None else "only what is installed can be allowed, and pinned",
            fix=f"give the folder of {package} a pyproject.toml, and install it with pip install -e",
        )
    return Entry(STAGE, value, value, owner.name, owner.version, str(owner.site))


def load(value: str, policy: Policy) -> Callable[..., Any]:
    """Import a function, once per process.

    Raises:
        PluginError: those of :func:`find`; ``E-PLUGIN-010`` or ``E-LOCK-020`` the policy does not let its distribution
            in; ``E-PLUGIN-020`` to ``024`` it cannot be imported; ``E-PLUGIN-062`` it cannot be called.
    """
    entry = find(value)
    check_leave(entry, policy)
    loaded = _load(entry)
    if not callable(loaded):
        raise PluginError("E-PLUGIN-062", f"{value} is a {type(loaded).__name__}, which cannot be called")
    return loaded


@cache
def _load(entry: Entry) -> object:
    return loader.import_entry(entry)


def _place(package: str) -> Path | None:
    """The folder or file of a top-level package or module; None if there is none in a file."""
    spec = find_spec(package)
    if spec is None:
        return None
    folders = list(spec.submodule_search_locations or ())
    if folders:
        return Path(folders[0]).resolve()
    return Path(spec.origin).resolve() if spec.has_location and spec.origin else None


def _owner(package: str, place: Path) -> Installed | None:
    """The distribution whose checkout `place` is in, or one of whose installed files it is."""
    from importlib.metadata import packages_distributions

    from packaging.utils import canonicalize_name

    here = installed()
    for one in here.values():
        if one.checkout is not None and place.is_relative_to(one.checkout.resolve()):
            return one
    named = map(canonicalize_name, packages_distributions().get(package, ()))
    return next((here[name] for name in named if name in here and place.parent == here[name].site.resolve()), None)
