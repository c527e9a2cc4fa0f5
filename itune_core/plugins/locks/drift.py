"""Verify: is what is installed what the lock says? Read before anything of a plugin is imported; nothing is changed.

It finds what has drifted, by accident or by somebody's hand in the plugins' files. It does not guard against one who
may write the environment and means harm: they could write the checker, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from itune_core.api.errors import PluginError
from itune_core.plugins import catalog, records
from itune_core.plugins.catalog import CORE, UNKNOWN, Entry
from itune_core.plugins.installed import Installed, installed, of_this_environment
from itune_core.plugins.locks import integrity
from itune_core.plugins.locks.lock import Lock, Locked
from itune_core.plugins.locks.shadowing import belongs, covered
from itune_core.plugins.locks.startup import nobodys_startup_files
from itune_core.plugins.policy import bound_on_core
from itune_core.plugins.sources import source_digest


@dataclass(frozen=True)
class Drift:
    """One difference between lock and environment: whose, and the error that says what it is and what mends it.

    Attributes:
        distribution: in its normal spelling; empty if it is nobody's.
        error: what, and how to mend it.
    """

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
        PluginError: the difference, ``E-LOCK-010`` to ``026``; :class:`DriftError` if there are several.
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

    def of_locked(file: Path) -> bool:
        """Whether a locked distribution brought a file."""
        ones = (here[name] for name in lock.packages.keys() & here.keys())
        beside = (one for one in ones if file.is_relative_to(one.site))
        return any(file.relative_to(one.site).as_posix() in (records.listed(one) or ()) for one in beside)

    found: list[Drift] = []
    for locked in lock.packages.values():
        errors = list(_package(locked, here.get(locked.name), recipe, of_locked))
        if not errors and locked.entry_points:
            errors = [*_bound(locked, entries, here, recipe), *_published(locked, entries, recipe)]
        found += [Drift(locked.name, error) for error in errors]
    found += _covered(lock, here)
    told = {drift.distribution for drift in found}
    found += [drift for drift in _extra(lock, entries, recipe, frozenset(uses)) if drift.distribution not in told]
    return found + [Drift("", error) for error in _startup(lock, here)]


def _package(
    locked: Locked, here: Installed | None, recipe: Path, of_locked: Callable[[Path], bool]
) -> Iterator[PluginError]:
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
        yield from integrity.differences(locked, here, sync, of_locked)


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


def _published(locked: Locked, entries: list[Entry], recipe: Path) -> Iterator[PluginError]:
    """Whether a plugin publishes what was locked. The metadata of a checkout is in no RECORD."""
    points = {entry.label: entry.value for entry in entries if canonicalize_name(entry.distribution) == locked.name}
    if points != locked.entry_points:
        changed = sorted({label for label, _ in points.items() ^ locked.entry_points.items()})
        yield PluginError(
            "E-LOCK-025",
            f"{locked.name} {locked.version} does not publish what was locked: {', '.join(changed)}",
            where=str(locked.checkout) if locked.checkout else None,
            fix=f"itune lock {recipe}, if it is as you want it; otherwise install it again as it was",
        )


def _covered(lock: Lock, here: Mapping[str, Installed]) -> Iterator[Drift]:
    """Libraries that another folder hides; of plugins, :mod:`.integrity` knows it file by file."""
    ones = [
        here[locked.name]
        for locked in lock.packages.values()
        if locked.record is None and locked.checkout is None and locked.name in here
    ]
    for site in sorted({one.site for one in ones}):
        for module, origin in covered(site):
            owner = next((one for one in ones if one.site == site and belongs(module, records.listed(one) or ())), None)
            if owner is not None:
                yield Drift(owner.name, integrity.not_imported(module, f"{owner.name} {owner.version}", origin))


def _startup(lock: Lock, here: Mapping[str, Installed]) -> Iterator[PluginError]:
    """Code that runs before any of this does."""
    sites = {here[name].site for name in lock.distributions & here.keys()}
    for path in nobodys_startup_files(sites):
        yield PluginError(
            "E-LOCK-026",
            f"{path.name} runs code whenever Python starts, and belongs to no distribution",
            where=str(path),
            fix="read it, and delete it; sync does not",
        )


def _extra(lock: Lock, entries: list[Entry], recipe: Path, uses: frozenset[str]) -> Iterator[Drift]:
    """Distributions that publish plugins and are not in the lock."""
    owned: dict[tuple[str, str, str], list[str]] = {}
    for entry in entries:
        name: str = UNKNOWN if entry.distribution == UNKNOWN else canonicalize_name(entry.distribution)
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
        elif name in lock.packages:
            error = PluginError(
                "E-LOCK-016",
                f"the installed {owner} is another build than the locked one",
                where=location,
                why=f"it publishes {', '.join(sorted(labels))}, and the locked one is a library",
                fix=f"itune sync {recipe}; itune lock {recipe} locks it as it is",
            )
        elif used:
            error = PluginError(
                "E-LOCK-020",
                f"the recipe uses {', '.join(used)} of {owner}, which is not in the lock",
                where=location,
                fix=f"itune lock {recipe} --with {name}, if you trust it",
            )
        else:
            ours = of_this_environment(Path(location))
            away = f"itune sync {recipe} uninstalls it" if ours else "take that folder off PYTHONPATH"
            error = PluginError(
                "E-LOCK-015",
                f"{owner} is installed, publishes {', '.join(sorted(labels))}, and is not in the lock",
                where=location,
                why=None if ours else "it is on Python's path and not in this environment: sync cannot uninstall it",
                fix=f"{away}; or itune lock {recipe} --with {name} locks it",
            )
        yield Drift(name, error)


def _same(one: str, other: str) -> bool:
    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return one == other
