"""Sync: make the environment what the lock says, and change nothing else in it."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from itune_core.api.errors import PluginError
from itune_core.plugins import catalog, records
from itune_core.plugins.catalog import CORE
from itune_core.plugins.installed import Installed, installed, of_this_environment
from itune_core.plugins.locks import installers, integrity
from itune_core.plugins.locks.drift import drifts, refuse
from itune_core.plugins.locks.lock import Lock
from itune_core.plugins.locks.locking import subset


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
    """What must be done for this environment to be the locked one. Changes nothing.

    Raises:
        PluginError: an installer would do harm: ``E-LOCK-024`` folders of a distribution are links; ``E-LOCK-040`` it
            lies in a folder that is not of this environment, and hides what would be installed; ``E-LOCK-041`` nobody
            knows which files are its own.
    """
    found = drifts(lock, recipe)
    here = installed()
    drifted = {
        drift.distribution for drift in found if drift.error.code not in _NOT_BY_INSTALLING
    } & lock.packages.keys()
    wheels = {name for name in drifted if lock.packages[name].checkout is None}
    # A library that depends on the core, and every plugin, is verified file by file: none of it may come from a cache.
    # The same version of another build is for an installer what is there already.
    builds = {drift.distribution for drift in found if drift.error.code not in ("E-LOCK-010", "E-LOCK-014")}
    replace = {name for name in wheels if name in here and (lock.packages[name].record is not None or name in builds)}
    extra = {drift.distribution for drift in found if drift.error.code == "E-LOCK-015"} & here.keys()
    uninstall = {name for name in extra if of_this_environment(here[name].site)}
    for name in sorted(uninstall | (wheels & here.keys())):
        _refuse_harm(here[name])
    return Changes(
        uninstall=tuple(sorted(uninstall)),
        install=tuple(sorted(wheels - replace)),
        replace=tuple(sorted(replace)),
    )


def sync(lock: Lock, recipe: Path, wanted: Changes, tell: Callable[[str], object] = lambda line: None) -> None:
    """Do what :func:`changes` gave, then verify.

    Args:
        lock: what is to be.
        recipe: whose lock it is.
        wanted: what is to be done for it.
        tell: is given a line of each file that will be deleted because it lies in the folder of a plugin and belongs
            to nobody; before the first is.

    Raises:
        PluginError: ``E-LOCK-030``, ``E-LOCK-032`` as of :mod:`.installers`; or what still differs afterwards, such
            as a checkout, which nothing is installed for; ``E-LOCK-042`` the same, told by a core just installed.
    """
    if wanted.uninstall:
        installers.uninstall(wanted.uninstall)
    with tempfile.TemporaryDirectory(prefix="itune-sync-") as folder:
        for names, afresh in ((wanted.replace, True), (wanted.install, False)):
            if names:
                part = Path(folder, "pylock.part.toml")
                subset(lock.document, names, lock.file.parent, part)
                with _set_aside(names):
                    installers.install(part, afresh=afresh)
    _look_again()
    _delete_added(lock, tell)
    if CORE in (*wanted.install, *wanted.replace):
        _verify_anew(recipe)
    else:
        refuse(lock, recipe)


_NOT_BY_INSTALLING = ("E-LOCK-012", "E-LOCK-021", "E-LOCK-022", "E-LOCK-025")
"""Differences of a distribution whose own files are right."""


def _refuse_harm(one: Installed) -> None:
    """Pass, or say why installers must not touch an installed distribution."""
    if not of_this_environment(one.site):  # installers leave it alone, whatever it is
        if _comes_first(one.site):
            raise PluginError(
                "E-LOCK-040",
                f"{one.name} {one.version} is not of this environment, and hides what sync would install",
                where=str(one.info),
                why="that folder comes first on Python's path, and is none that packages are installed into",
                fix="take it off PYTHONPATH, or use a virtual environment; then type the same again",
            )
        return
    files = records.read(one)
    if files is not None and (links := records.links(one, files)):
        raise integrity.linked(one, links)
    if files is None and (one.info.suffix != ".dist-info" or one.info.is_symlink()):
        raise PluginError(
            "E-LOCK-041",
            f"{one.name} {one.version} was installed by an old tool, without a list of its files",
            where=str(one.info),
            why="what is installed over it would be mixed with what it leaves behind",
            fix=f"pip uninstall {one.name}, or delete its files; then type the same again",
        )


def _comes_first(folder: Path) -> bool:
    """Whether Python looks into `folder` before it looks into this environment."""
    first = next((path for path in map(Path, sys.path) if path == folder or of_this_environment(path)), None)
    return first == folder


@contextmanager
def _set_aside(names: Iterable[str]) -> Iterator[None]:
    """A distribution without RECORD cannot be uninstalled: its metadata goes, and its files are written over.

    It comes back if the installer fails.
    """
    here = installed()
    ones = [here[name] for name in names if name in here]
    moved = {}
    for one in ones:
        if of_this_environment(one.site) and records.read(one) is None:
            moved[one.info] = one.info.rename(one.info.with_name(f"{one.info.name}.set-aside"))
    try:
        yield
    except BaseException:
        for info, aside in moved.items():
            if not info.exists():
                aside.rename(info)
        raise
    for aside in moved.values():
        shutil.rmtree(aside, ignore_errors=True)


def _delete_added(lock: Lock, tell: Callable[[str], object]) -> None:
    """Installers leave what they do not know."""
    here = installed()
    verified = [here[name] for name, package in lock.packages.items() if package.record is not None and name in here]
    strays = [path for one in verified if of_this_environment(one.site) for path in integrity.deletable(one)]
    for path in strays:
        tell(f"deleting {path}, which belongs to no distribution")
    for path in strays:
        path.unlink()


def _verify_anew(recipe: Path) -> None:
    """Verify with the core that was just installed: this process is still, in part, the one before."""
    call = [sys.executable, "-P", "-m", "itune_core.cli.main", "lock", "--check", str(recipe)]
    done = subprocess.run(call, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise PluginError(
            "E-LOCK-042",
            f"{CORE} was installed anew, and says that this environment is not the locked one",
            why=(done.stderr or done.stdout).strip().replace("\n", "\n    "),
            fix=f"what it says; then itune sync {recipe}",
        )


def _look_again() -> None:
    importlib.invalidate_caches()
    catalog.refresh()
