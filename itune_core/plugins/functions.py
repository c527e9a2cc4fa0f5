"""Functions that a setting names, ``package.module:function``: found, let in and imported as plugins are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    places = _places(package)
    owner = _owner(module, places)
    if owner is None:
        raise PluginError(
            "E-PLUGIN-061",
            f"{value} belongs to no installed distribution",
            where=str(places[0]) if places else None,
            why="only what is installed can be allowed, and pinned" if places else "there is no such module",
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


def _places(package: str) -> list[Path]:
    """The folder of a top-level package, or the file of a module; several of a package in parts; none if it is in no
    file."""
    try:
        spec = find_spec(package)
    except ValueError:  # that of the running script
        return []
    if spec is None:
        return []
    folders = list(spec.submodule_search_locations or ())
    if not folders and spec.has_location and spec.origin:
        folders = [spec.origin]
    return [Path(folder).resolve() for folder in folders]


def _owner(module: str, places: Sequence[Path]) -> Installed | None:
    """The distribution one of whose installed files `module` is, or whose checkout it is in."""
    from importlib.metadata import packages_distributions

    from packaging.utils import canonicalize_name

    here, folders = installed(), {place.parent for place in places}
    named = dict.fromkeys(map(canonicalize_name, packages_distributions().get(module.partition(".")[0], ())))
    shipping = [here[name] for name in named if name in here and here[name].site.resolve() in folders]
    if len(shipping) > 1:  # parts of one package, `google` say: to let one of them in lets in no other
        shipping = [one for one in shipping if _ships(one, module)]
    if shipping:
        return shipping[0]
    # of checkouts within each other the innermost; an environment within one is no part of it
    around = [
        (checkout.resolve(), one)
        for one in here.values()
        if (checkout := one.checkout) is not None
        and any(place.is_relative_to(checkout.resolve()) for place in places)
        and one.site.resolve() not in folders
    ]
    return max(around, key=lambda found: len(found[0].parts))[1] if around else None


def _ships(one: Installed, module: str) -> bool:
    """Whether `module` is among its files."""
    *folders, last = module.split(".")
    for file in one.metadata().files or ():
        if list(file.parts[:-1]) == [*folders, last] and file.stem == "__init__":
            return True
        if list(file.parts[:-1]) == folders and file.name.partition(".")[0] == last:
            return True
    return False
