"""Verify: is what is installed what the lock says? Read before anything of a plugin is imported; nothing is changed.

It finds what has drifted, by accident or by somebody's hand in the plugins' files. It does not guard against one who
may write the environment and means harm: they could write the checker, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from itune_core.api.errors import PluginError
from itune_core.plugins import catalog, records
from itune_core.plugins.catalog import UNKNOWN, Entry
from itune_core.plugins.installed import Installed, installed
from itune_core.plugins.lock import Lock, Locked
from itune_core.plugins.policy import CORE, bound_on_core
from itune_core.plugins.sources import source_digest

_SHOWN = 5
"""Files of one distribution that a message names."""


@dataclass(frozen=True)
class Drift:
    """One difference between lock and environment: whose, and the error that says what it is and what mends it."""

    distribution: str
    error: PluginError


class DriftError(PluginError):
    """Several differences at once, each with a code of its own.

    Attributes:
        errors: at least two.
    """

    def __init__(self, code: str, what: str, errors: Iterable[PluginError], *, where: str | None = None) -> None:
        super().__init__(code, what, where=where)
        self.errors = tuple(errors)

    def __str__(self) -> str:
        return "\n".join([super().__str__(), *map(str, self.errors)])

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self.code, self.what, self.errors, self.where)


def _rebuild(code: str, what: str, errors: tuple[PluginError, ...], where: str | None) -> DriftError:
    return DriftError(code, what, errors, where=where)


def refuse(lock: Lock, recipe: Path, uses: Iterable[str] = ()) -> None:
    """Pass, or say all that is different.

    Args:
        lock: what should be.
        recipe: whose lock it is, for the commands that messages name.
        uses: labels that the recipe uses, so that one which is not locked is told as such.

    Raises:
        PluginError: the difference, ``E-LOCK-010`` to ``023``; :class:`DriftError` if there are several.
    """
    errors = [drift.error for drift in drifts(lock, recipe, uses)]
    if len(errors) == 1:
        raise errors[0]
    if errors:
        count, where = len(errors), str(lock.file)
        raise DriftError(
            "E-LOCK-001", f"this environment is not the locked one: {count} differences", errors, where=where
        )


def drifts(lock: Lock, recipe: Path, uses: Iterable[str] = ()) -> list[Drift]:
    """Every difference between a lock and this environment, in the order of the lock; then what is not in it."""
    here = installed()
    entries = [entry for stage in catalog.GROUPS for entry in catalog.entries(stage)]
    found: list[Drift] = []
    for locked in lock.packages.values():
        errors = list(_package(locked, here.get(locked.name), recipe))
        if not errors and locked.entry_points:
            errors = list(_bound(locked, entries, here, recipe))
        found += [Drift(locked.name, error) for error in errors]
    return found + list(_extra(lock, entries, recipe, frozenset(uses)))


def added_files(here: Installed) -> list[Path]:
    """Files in the folders of a distribution's packages that no distribution brought there."""
    files = records.read(here)
    return [] if files is None else [here.site / name for name in _nobodys(records.compare(here, files).added, here)]


def _package(locked: Locked, here: Installed | None, recipe: Path) -> Iterator[PluginError]:
    """What is wrong with one locked distribution."""
    owner = f"{'plugin ' if locked.entry_points else ''}{locked.name}"
    sync, again = f"itune sync {recipe}", f"itune lock {recipe}"
    if here is None:
        yield PluginError("E-LOCK-014", f"the locked {owner} {locked.version} is not installed", fix=sync)
        return
    where = str(here.info)
    if len(here.versions) > 1:
        yield PluginError(
            "E-LOCK-018",
            f"{owner} is installed more than once in one folder: {' and '.join(here.versions)}",
            where=str(here.site),
            why="an interrupted install leaves that behind",
            fix=f"pip uninstall {locked.name}, as often as there are versions; then {sync}",
        )
        return
    if not _same(here.version, locked.version):
        yield PluginError(
            "E-LOCK-010",
            f"{owner} is {here.version} here and {locked.version} in the lock",
            where=where,
            fix=f"{sync} installs {locked.version}; {again} locks {here.version}",
        )
        return
    checkout = here.checkout
    if (checkout is None) != (locked.checkout is None):
        ways = ("a wheel", f"the checkout {checkout}") if checkout else (f"the checkout {locked.checkout}", "a wheel")
        yield PluginError(
            "E-LOCK-019",
            f"{owner} is locked as {ways[0]} and installed from {ways[1]}",
            where=where,
            fix=f"{sync}; or {again}, which locks it as it is",
        )
        return
    if locked.sources is not None and source_digest(locked.modules) != locked.sources:
        yield PluginError(
            "E-LOCK-017",
            f"the sources of {owner} are not those that were locked",
            where=str(checkout),
            why="it is installed to be edited; such a lock is for development only",
            fix=f"{again}, once they are as you want them",
        )
    if locked.record is not None:
        yield from _files(locked, here, sync)


def _files(locked: Locked, here: Installed, sync: str) -> Iterator[PluginError]:
    """Where the files of a distribution that was installed from a wheel are not those of the locked wheel."""
    owner, where = f"{locked.name} {locked.version}", str(here.site)
    files = records.read(here)
    if files is None or records.digest(files) != locked.record:
        yield PluginError(
            "E-LOCK-016",
            f"the installed {owner} is another build than the locked one",
            where=str(here.info / records.RECORD),
            why="that file is missing" if files is None else "it lists other files than the locked wheel",
            fix=sync,
        )
        return
    difference = records.compare(here, files)
    if difference.edited:
        names = _listed(difference.edited)
        yield PluginError("E-LOCK-011", f"files of {owner} were edited: {names}", where=where, fix=sync)
    if difference.removed:
        names = _listed(difference.removed)
        yield PluginError("E-LOCK-013", f"files of {owner} were removed: {names}", where=where, fix=sync)
    if difference.added and (added := _nobodys(difference.added, here)):
        names = _listed(added)
        yield PluginError(
            "E-LOCK-012", f"files were added to {owner}: {names}", where=where, fix=f"{sync} deletes them"
        )
    for package in locked.modules:
        spec = find_spec(package)
        if spec and spec.origin and not Path(spec.origin).is_relative_to(here.site):
            yield PluginError(
                "E-LOCK-021",
                f"importing {package} would not give the locked {owner}",
                where=spec.origin,
                why="that folder comes first on Python's path",
                fix="take it off PYTHONPATH, or start itune in another folder",
            )


def _nobodys(added: Iterable[str], here: Installed) -> list[str]:
    """Those of `added` that no other distribution in that folder brought (two may share a package's folder)."""
    owned: set[str] = set()
    for other in installed([str(here.site)]).values():
        if other.name != here.name:
            owned.update(records.read(other) or ())
    return [path for path in added if path not in owned]


def _bound(locked: Locked, entries: list[Entry], here: Mapping[str, Installed], recipe: Path) -> Iterator[PluginError]:
    """Whether a plugin accepts the core that is installed."""
    core = here.get(CORE)
    mine = next((entry for entry in entries if canonicalize_name(entry.distribution) == locked.name), None)
    if core is None or mine is None:
        return
    bound = bound_on_core(mine.requires)
    if not bound.contains(core.version, prereleases=True):
        yield PluginError(
            "E-LOCK-022",
            f"the locked {mine.owner} needs {CORE}{bound}, and this is {CORE} {core.version}",
            where=mine.location,
            fix=f"itune sync {recipe} installs the core that it was locked with",
        )


def _extra(lock: Lock, entries: list[Entry], recipe: Path, uses: frozenset[str]) -> Iterator[Drift]:
    """Distributions that publish plugins and are not in the lock."""
    owned: dict[tuple[str, str, str], list[str]] = {}
    for entry in entries:
        name: str = canonicalize_name(entry.distribution)
        if name != CORE and name not in lock.distributions:
            owned.setdefault((name, entry.owner, entry.location), []).append(entry.label)
    for (name, owner, location), labels in owned.items():
        used = sorted(uses.intersection(labels))
        if name == UNKNOWN:
            error = PluginError(
                "E-LOCK-023",
                f"a distribution with damaged metadata publishes {', '.join(labels)}, and is not in the lock",
                where=location,
                fix="delete its *.dist-info folder, which an interrupted install has left behind",
            )
        elif used:
            error = PluginError(
                "E-LOCK-020",
                f"the recipe uses {', '.join(used)} of {owner}, which is not in the lock",
                where=location,
                fix=f"itune lock {recipe} --with {name}, if you trust it",
            )
        else:
            error = PluginError(
                "E-LOCK-015",
                f"{owner} is installed, publishes {', '.join(sorted(labels))}, and is not in the lock",
                where=location,
                fix=f"itune sync {recipe} uninstalls it; itune lock {recipe} --with {name} locks it",
            )
        yield Drift(name, error)


def _same(one: str, other: str) -> bool:
    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return one == other


def _listed(files: Iterable[str]) -> str:
    names = list(files)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
