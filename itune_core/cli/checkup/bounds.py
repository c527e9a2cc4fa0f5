"""Versions that conflict: what itune, its plugins and all they depend on ask for, against what is installed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from itune_core.cli.checkup.finding import Finding
from itune_core.plugins import catalog
from itune_core.plugins.catalog import CORE
from itune_core.plugins.installed import Installed, installed
from itune_core.plugins.markers import holds


@dataclass
class Wanted:
    """A distribution that others ask for.

    Attributes:
        askers: ``name version`` of who asks, to the versions that it admits.
    """

    askers: dict[str, SpecifierSet] = field(default_factory=dict)


def bounds() -> Iterator[Finding]:
    """What is not installed as somebody asks for; one finding if all is."""
    here = installed()
    wanted = _wanted(here)
    found = [finding for name, want in sorted(wanted.items()) for finding in _compare(name, want, here.get(name))]
    yield from found
    if not found:
        count = sum(len(want.askers) for want in wanted.values())
        yield Finding("bounds", True, f"all {count} on {len(wanted)} distributions hold")


def _roots() -> set[str]:
    """The core, and every distribution that publishes something for it."""
    owners = {entry.distribution for stage in catalog.GROUPS for entry in catalog.entries(stage)}
    return {CORE, *(canonicalize_name(owner) for owner in owners if owner != catalog.UNKNOWN)}


def _wanted(here: Mapping[str, Installed]) -> dict[str, Wanted]:
    """By distribution, who asks for it: from the roots down, through what they depend on here."""
    wanted: dict[str, Wanted] = {}
    queue = [(name, "") for name in sorted(_roots())]
    seen = set(queue)
    while queue:
        name, extra = queue.pop()
        if name not in here:
            continue
        asker = f"{name} {here[name].version}"
        for requirement in _requirements(here[name], extra):
            target = canonicalize_name(requirement.name)
            askers = wanted.setdefault(target, Wanted()).askers
            askers[asker] = askers.get(asker, SpecifierSet()) & requirement.specifier
            for next_one in [(target, ""), *((target, more) for more in requirement.extras)]:
                if next_one not in seen:
                    seen.add(next_one)
                    queue.append(next_one)
    return wanted


def _requirements(one: Installed, extra: str) -> Iterator[Requirement]:
    """What a distribution, or an extra of it, requires here."""
    for line in one.metadata().requires or ():
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue  # of old tools
        if requirement.marker is None:
            if not extra:
                yield requirement
        elif holds(requirement.marker, extra) and not (extra and holds(requirement.marker)):
            yield requirement


def _compare(name: str, want: Wanted, one: Installed | None) -> Iterator[Finding]:
    asked = "; ".join(f"{asker} asks for {name}{bound}" for asker, bound in want.askers.items())
    if one is None:
        both = _together(want.askers)
        yield Finding(name, False, f"not installed; {asked}", f"pip install '{name}{both or ''}'")
        return
    try:
        version = Version(one.version)
    except InvalidVersion:
        yield Finding(name, False, f"version {one.version!r} is none", f"pip install --force-reinstall {name}")
        return
    unmet = [asker for asker, bound in want.askers.items() if not bound.contains(version, prereleases=True)]
    if unmet:
        complaint = "; ".join(f"{asker} asks for {name}{want.askers[asker]}" for asker in unmet)
        yield Finding(name, False, f"{version} is installed; {complaint}", _advice(name, want.askers, version))


def _together(askers: Mapping[str, SpecifierSet]) -> SpecifierSet:
    both = SpecifierSet()
    for bound in askers.values():
        both &= bound
    return both


def _advice(name: str, askers: Mapping[str, SpecifierSet], version: Version) -> str:
    both = _together(askers)
    if _satisfiable(both, version):
        return f"pip install '{name}{both}'"
    asked = ", ".join(f"{asker} ({bound})" for asker, bound in askers.items() if bound)
    return f"no version of {name} suits all of {asked}: upgrade one of these, or keep them in separate environments"


def _satisfiable(bound: SpecifierSet, version: Version) -> bool:
    """Whether any version can meet the bound. If one can, so does one it names, or one just above that."""
    named = {"0", str(version)} | {part.version.removesuffix(".*") for part in bound}
    candidates = [candidate for text in named for candidate in (text, f"{Version(text).base_version}.0.0.1")]
    return any(bound.contains(candidate, prereleases=True) for candidate in candidates)
