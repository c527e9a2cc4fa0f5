"""Verify the files of a distribution that was installed from a wheel: are they the locked ones, and those imported?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from itune_core.api.errors import PluginError
from itune_core.plugins import records
from itune_core.plugins.installed import Installed
from itune_core.plugins.locks.lock import Locked
from itune_core.plugins.locks.ownership import strays
from itune_core.plugins.locks.shadowing import hidden

_SHOWN = 5
"""Files of one distribution that a message names."""


def differences(locked: Locked, here: Installed, sync: str, of_locked: Callable[[Path], bool]) -> Iterator[PluginError]:
    """Where the installed files are not those of the locked wheel, or would not be the ones that are imported.

    Args:
        locked: what should be; must have the digest of a RECORD.
        here: what is, of the same name and version.
        sync: the command that mends most of it.
        of_locked: whether a locked distribution brought a file.
    """
    owner, where = f"{locked.name} {locked.version}", str(here.site)
    files = records.read(here)
    if files is None or records.digest(files) != locked.record:
        yield PluginError(
            "E-LOCK-016",
            f"the installed {owner} is another build than the locked one",
            where=str(here.info / records.RECORD),
            why="that file is missing or damaged" if files is None else "it lists other files than the locked wheel",
            fix=sync,
        )
        return
    if links := records.links(here, files):
        yield linked(here, links)
        return
    difference = records.compare(here, files)
    if difference.edited:
        names = _listed(difference.edited)
        yield PluginError("E-LOCK-011", f"files of {owner} were edited: {names}", where=where, fix=sync)
    if difference.removed:
        names = _listed(difference.removed)
        yield PluginError(
            "E-LOCK-013", f"files of {owner} were removed, or cannot be read: {names}", where=where, fix=sync
        )
    found = strays(difference.added, here)
    if found.paths:
        others = " or ".join(found.unlisted)
        yield PluginError(
            "E-LOCK-012",
            f"files were added to {owner}: {_listed(found.paths)}",
            where=where,
            why=f"they may belong to {others}, which has no list of its files" if others else None,
            fix="install that again with a current tool, or move the files away" if others else f"{sync} deletes them",
        )
    for module, origin in hidden(here, files, locked.entry_points.values(), of_locked):
        yield not_imported(module, owner, origin, beside=origin.is_relative_to(here.site))


def deletable(here: Installed) -> list[Path]:
    """Files and links in the folders of a distribution's packages that for certain no distribution brought there."""
    files = records.read(here)
    if files is None or records.links(here, files):
        return []
    found = strays(records.compare(here, files).added, here)
    return [] if found.unlisted else [here.site / path for path in found.paths]


def linked(here: Installed, links: Iterable[Path]) -> PluginError:
    """The error of a distribution whose folders are links. Installers would follow them, so sync does nothing."""
    [first, *_] = links
    return PluginError(
        "E-LOCK-024",
        f"{first.name}, a folder of {here.name} {here.version}, is a link",
        where=str(first),
        why=f"it leads to {first.resolve()}: what is imported, and what an installer deletes, would be there",
        fix="remove the link, not what it leads to; then type the same again",
    )


def not_imported(module: str, owner: str, origin: Path, *, beside: bool = False) -> PluginError:
    """The error of a module that something else takes the place of.

    Args:
        module: its name.
        owner: the locked distribution that brought it, and its version.
        origin: what would be imported.
        beside: whether that lies in the same site folder; otherwise its folder is earlier on the path.
    """
    return PluginError(
        "E-LOCK-021",
        f"importing {module} would not give the locked {owner}",
        where=str(origin),
        why="no locked distribution brought that file" if beside else "that folder comes first on Python's path",
        fix="move it away" if beside else "take it off PYTHONPATH, or start itune in another folder",
    )


def _listed(files: Iterable[str]) -> str:
    names = list(files)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
