"""Load: the only place that imports a plugin.

It imports the very entry that the policy passed. stevedore's ``DriverManager`` would look the name up again in a cached
listing that may be out of date, so that what is imported need not be what was checked; it imports both of two
distributions that claim one name before it complains; and ``assert`` and ``sys.exit`` in a plugin's module pass it by.
"""

from __future__ import annotations

import importlib
import re
import traceback
from functools import cache
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from itune_core.api.errors import PluginError
from itune_core.plugins.catalog import Entry
from itune_core.plugins.contract import check_component, check_extension_class
from itune_core.plugins.origin import remember
from itune_core.plugins.policy import Policy, check

_ABSENT = object()


def load(entry: Entry, policy: Policy) -> type[Any]:
    """Import what an entry names, once per process, and hold it to its contract.

    Args:
        entry: what :func:`itune_core.plugins.catalog.find` gave.
        policy: asked first, also when the class is already there; an entry it refuses is not imported.

    Returns:
        The class; nothing was instantiated. A subclass of the stage's base class; for extensions, any class.

    Raises:
        PluginError: ``E-PLUGIN-010`` to ``013`` the policy refuses it; ``E-PLUGIN-020`` its own module is missing;
            ``E-PLUGIN-021`` something it depends on is; ``E-PLUGIN-022`` its module raised; ``E-PLUGIN-023`` its module
            ended the process; ``E-PLUGIN-024`` its module lacks the attribute; ``E-PLUGIN-030`` to ``045`` it breaks
            the contract.
    """
    check(entry, policy)
    return _load(entry)


@cache
def _load(entry: Entry) -> type[Any]:
    loaded = import_entry(entry)
    return check_extension_class(loaded, entry) if entry.stage == "extensions" else check_component(loaded, entry)


def import_entry(entry: Entry) -> object:
    """What `entry` names, imported. No policy is asked, and no contract held to: that is :func:`load`."""
    module, _, attribute = entry.value.partition("[")[0].replace(" ", "").partition(":")
    try:
        loaded: object = importlib.import_module(module)
        for name in filter(None, attribute.split(".")):
            loaded = getattr(loaded, name, _ABSENT)
    except SystemExit as error:
        raise PluginError(
            "E-PLUGIN-023",
            f"{entry} called sys.exit({error.code!r}) while it was imported",
            where=_last_frame(error) or entry.value,
            fix="report it to its authors: a module must not end the process it is imported into",
        ) from error
    except Exception as error:
        # Foreign code runs here and may raise anything. This is the one boundary where all of it becomes an error that
        # names the distribution; KeyboardInterrupt still passes.
        if isinstance(error, ModuleNotFoundError) and error.name:
            raise _missing(entry, module, error.name, error) from error
        raise PluginError(
            "E-PLUGIN-022",
            f"{entry} cannot be imported",
            where=_last_frame(error) or entry.value,
            why=f"{type(error).__name__}: {error}",
            fix="report it to its authors, or install another version; itune --traceback shows how it came to that",
        ) from error
    if loaded is _ABSENT:
        raise PluginError(
            "E-PLUGIN-024",
            f"{entry} names {entry.value}, and {module} has no {attribute}",
            why="its entry point and its code are of different versions, or one of them is misspelt",
            fix=f"pip install --force-reinstall {entry.distribution}",
        )
    if isinstance(loaded, type):
        remember(loaded, entry)
    return loaded


def _missing(entry: Entry, module: str, absent: str, error: ModuleNotFoundError) -> PluginError:
    if absent.partition(".")[0] == module.partition(".")[0]:
        return PluginError(
            "E-PLUGIN-020",
            f"{entry} is installed, but its own module {absent} is not there",
            where=_last_frame(error),
            why=f"its entry point is {entry.value}; the install is incomplete, or a name is misspelt",
            fix=f"pip install --force-reinstall {entry.distribution}",
        )
    return PluginError(
        "E-PLUGIN-021",
        f"{entry} needs the module {absent}, which is not installed",
        where=_last_frame(error),
        fix=_how_to_get(entry, absent.partition(".")[0]),
    )


def _how_to_get(entry: Entry, module: str) -> str:
    """The plugin's extra that brings `module`, if it declares one; many distributions bear their module's name."""
    for line in entry.requires:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        extra = re.search(r"""extra\s*==\s*["']([^"']+)["']""", str(requirement.marker or ""))
        if extra and canonicalize_name(requirement.name) == canonicalize_name(module):
            return f"pip install '{entry.distribution}[{extra[1]}]'"
    return f"pip install {module}, or the distribution that has the module {module}"


def _last_frame(error: BaseException) -> str | None:
    """File and line of the plugin that raised; None if none of its code was reached."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    machinery = ("<frozen importlib", importlib.__file__, __file__)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(machinery)]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else None
