"""Check: may this entry be imported? Plain data in, a verdict out; nothing is imported, read or asked.

This is a gate of consent and compatibility, not a sandbox: a plugin that passes runs with all rights of the process.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from itune_core import __version__
from itune_core.api.errors import PluginError
from itune_core.plugins.catalog import CORE, UNKNOWN, Entry
from itune_core.plugins.markers import holds

if TYPE_CHECKING:
    from itune_core.plugins.locks.lock import Lock

FIRST_PARTY = (
    "itune-formatters",
    "itune-generators",
    "itune-filters",
    "itune-scorers",
    "itune-mixers",
    "itune-trainers",
    "itune-evaluators",
    "itune-backends",
    "itune-extensions",
    "itune-ray",
)
"""The distributions that need no leave. A list and not a prefix: anybody can publish a name that begins with itune."""


@dataclass(frozen=True)
class Policy:
    """What a project lets in.

    Attributes:
        allow: distributions whose plugins may be used, in any spelling of their names; default :data:`FIRST_PARTY`.
            The core itself is always allowed.
        prefer: label (``trainers/dpo``) to the distribution it is taken from, where several publish it.
        lock: if there is one, the distributions it locks are let in, and no others; `allow` then says nothing.
    """

    allow: frozenset[str] = frozenset(FIRST_PARTY)
    prefer: Mapping[str, str] = field(default_factory=dict)
    lock: Lock | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "allow", frozenset(map(canonicalize_name, self.allow)))

    @classmethod
    def of(cls, also: Iterable[str] = (), prefer: Mapping[str, str] | None = None, lock: Lock | None = None) -> Policy:
        """The first-party distributions and those in `also`."""
        return cls(frozenset((*FIRST_PARTY, *also)), prefer or {}, lock)


def check(entry: Entry, policy: Policy, core_version: str = __version__) -> None:
    """Pass, or say why `entry` must not be imported.

    Args:
        entry: what the catalog found.
        policy: what the project lets in.
        core_version: version of itune-core that the entry must accept.

    Raises:
        PluginError: as :func:`check_leave`; ``E-PLUGIN-012`` it does not bound itune-core from above; ``E-PLUGIN-011``
            its bound excludes `core_version`.
    """
    check_leave(entry, policy)
    if canonicalize_name(entry.distribution) != CORE:
        _check_bound(entry, core_version)


def check_leave(entry: Entry, policy: Policy) -> None:
    """Pass, or say why the project does not let `entry` in.

    Raises:
        PluginError: ``E-PLUGIN-013`` its metadata is damaged; ``E-LOCK-020`` there is a lock and its distribution is
            not in it; ``E-PLUGIN-010`` there is none, and its distribution is not in the allow-list.
    """
    if entry.distribution == UNKNOWN:
        raise PluginError(
            "E-PLUGIN-013",
            f"{entry.label} ({entry.value}) belongs to a distribution whose metadata is damaged",
            where=entry.location,
            why="the *.dist-info folder has no readable METADATA, as an interrupted install leaves it behind, "
            "or one that bears another name than the folder",
            fix="delete the folder, or install the distribution again with pip install --force-reinstall",
        )
    name = canonicalize_name(entry.distribution)
    if name == CORE:
        return
    if policy.lock is not None:
        if name not in policy.lock.distributions:
            raise PluginError(
                "E-LOCK-020",
                f"{entry.label} comes from {entry.owner}, which is not in the lock",
                where=str(policy.lock.file),
                fix=f"itune lock RECIPE --with {name}, if you trust it",
            )
    elif name not in policy.allow:
        more = sorted(policy.allow.difference(FIRST_PARTY))
        raise PluginError(
            "E-PLUGIN-010",
            f"{entry.label} comes from {entry.owner}, which this project does not allow",
            why=f"allowed are the first-party distributions{' and ' if more else ''}{', '.join(more)}; "
            "importing a plugin runs its code with all your rights",
            fix=f"if you trust it, for one command: itune run RECIPE --allow {name}; "
            f"for the project, in the recipe: plugins: {{allow: [{', '.join([*more, name])}]}}",
        )


def _check_bound(entry: Entry, core_version: str) -> None:
    bound = bound_on_core(entry.requires)
    if not any(part.operator in ("<", "<=", "==", "===", "~=") for part in bound):
        raise PluginError(
            "E-PLUGIN-012",
            f"{entry} does not say which versions of {CORE} it works with",
            why=f"its metadata requires {CORE + str(bound) if bound else 'no ' + CORE}, which has no upper bound",
            fix=f'its authors should put "{CORE}>={core_version},<{_next_major(core_version)}" '
            "among the dependencies in its pyproject.toml",
        )
    if not bound.contains(core_version, prereleases=True):
        raise PluginError(
            "E-PLUGIN-011",
            f"{entry} needs {CORE}{bound}, and this is {CORE} {core_version}",
            fix=_upgrade(entry, bound, core_version),
        )


def bound_on_core(requires: Iterable[str]) -> SpecifierSet:
    """All that a distribution itself (no extra of it) demands of the core here, taken together.

    Args:
        requires: its ``Requires-Dist`` lines.
    """
    bound = SpecifierSet()
    for requirement in requirements_on_core(requires):
        if holds(requirement.marker):  # one that cannot be told gives no bound, which is refused
            bound &= requirement.specifier
    return bound


def requirements_on_core(requires: Iterable[str]) -> Iterator[Requirement]:
    """Those of a distribution's ``Requires-Dist`` lines that name the core."""
    for line in requires:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue  # of old tools; a bound on the core that cannot be read is no bound, which is refused
        if canonicalize_name(requirement.name) == CORE:
            yield requirement


def _upgrade(entry: Entry, bound: SpecifierSet, core_version: str) -> str:
    """Which side is behind: the core if the bound begins above it, otherwise the plugin."""
    here = Version(core_version)
    lower = [part for part in bound if part.operator in (">", ">=", "~=", "==", "===")]
    if any(_above(part.version.removesuffix(".*"), here) for part in lower):
        return f"upgrade the core: pip install '{CORE}{bound}'"
    return (
        f"upgrade the plugin: pip install --upgrade {entry.distribution}; "
        f"or, if there is no newer one, use a core it knows: pip install '{CORE}{bound}'"
    )


def _above(version: str, here: Version) -> bool:
    try:
        return Version(version) > here
    except InvalidVersion:  # "===" takes any text
        return False


def _next_major(version: str) -> str:
    return str(Version(version).major + 1)
