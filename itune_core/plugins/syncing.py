"""Sync: make the environment what the lock says, and change nothing else in it."""

from __future__ import annotations

import importlib
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from itune_core.plugins import catalog, installers, records
from itune_core.plugins.drift import Drift, added_files, drifts, refuse
from itune_core.plugins.installed import installed
from itune_core.plugins.lock import Lock
from itune_core.plugins.locking import subset


@dataclass(frozen=True)
class Changes:
    """What a sync does.

    Attributes:
        uninstall: plugin distributions that are not locked.
        install: locked distributions that are missing or of another version.
        replace: plugin distributions whose files are not those of the locked wheel.
    """

    uninstall: tuple[str, ...]
    install: tuple[str, ...]
    replace: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.uninstall or self.install or self.replace)


def changes(lock: Lock, recipe: Path) -> Changes:
    """What must be done for this environment to be the locked one. Changes nothing."""
    found = drifts(lock, recipe)
    here = installed()
    drifted = {drift.distribution for drift in found} & lock.packages.keys()
    wheels = {name for name in drifted if lock.packages[name].checkout is None}
    # A library that depends on the core, and every plugin, is verified file by file: none of it may come from a cache.
    replace = {name for name in wheels if name in here and lock.packages[name].record is not None}
    return Changes(
        uninstall=tuple(sorted({drift.distribution for drift in found if _is_extra(drift, lock)} & here.keys())),
        install=tuple(sorted(wheels - replace)),
        replace=tuple(sorted(replace)),
    )


def sync(lock: Lock, recipe: Path, wanted: Changes) -> list[Path]:
    """Do what :func:`changes` gave, then verify.

    Returns:
        Files that were deleted because they lay in the folder of a plugin and belonged to nobody.

    Raises:
        PluginError: ``E-LOCK-030``, ``E-LOCK-032`` as of :mod:`.installers`; or what still differs afterwards, such
            as a checkout, which nothing is installed for.
    """
    if wanted.uninstall:
        installers.uninstall(wanted.uninstall)
    with tempfile.TemporaryDirectory(prefix="itune-sync-") as folder:
        for names, afresh in ((wanted.replace, True), (wanted.install, False)):
            if names:
                _drop_without_record(names)
                part = Path(folder, "pylock.part.toml")
                subset(lock.document, names, lock.file.parent, part)
                installers.install(part, afresh=afresh)
    _look_again()
    deleted = _delete_added(lock)
    refuse(lock, recipe)
    return deleted


def _is_extra(drift: Drift, lock: Lock) -> bool:
    return drift.distribution not in lock.packages


def _drop_without_record(names: Iterable[str]) -> None:
    """A distribution without RECORD cannot be uninstalled: its metadata goes, and its files are written over."""
    here = installed()
    for name in names:
        one = here.get(name)
        if one is not None and records.read(one) is None:
            shutil.rmtree(one.info, ignore_errors=True)


def _delete_added(lock: Lock) -> list[Path]:
    """Installers leave what they do not know."""
    here = installed()
    verified = [here[name] for name, package in lock.packages.items() if package.record is not None and name in here]
    deleted = [path for one in verified for path in added_files(one)]
    for path in deleted:
        path.unlink()
    return deleted


def _look_again() -> None:
    importlib.invalidate_caches()
    catalog.refresh()
