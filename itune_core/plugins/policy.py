"""Check: may this entry be imported? Plain data in, a verdict out; nothing is imported, read or asked.

This is a gate of consent and compatibility, not a sandbox: a plugin that passes runs with all rights of the process.
"""

from __future__ import annotations

from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from itune_core import __version__
from itune_core.api.errors import PluginError
from itune_core.plugins.catalog import UNKNOWN, Entry

CORE = "itune-core"


@dataclass(frozen=True)
class Policy:
    """What a project lets in.

    Attributes:
        allow: distributions whose plugins may be used, in any spelling of their names; None: all that are installed.
            The core itself is always allowed.
    """

    allow: frozenset[str] | None = None

    def __post_init__(self) -> None:
        if self.allow is not None:
            object.__setattr__(self, "allow", frozenset(map(canonicalize_name, self.allow)))


def check(entry: Entry, policy: Policy, core_version: str = __version__) -> None:
    """Pass, or say why `entry` must not be imported.

    Args:
        entry: what the catalog found.
        policy: what the project lets in.
        core_version: version of itune-core that the entry must accept.

    Raises:
        PluginError: ``E-PLUGIN-013`` its metadata is damaged; ``E-PLUGIN-010`` its distribution is not in the
            allow-list; ``E-PLUGIN-012`` it does not bound itune-core from above; ``E-PLUGIN-011`` its bound excludes
            `core_version`.
    """
    if entry.distribution == UNKNOWN:
        raise PluginError(
            "E-PLUGIN-013",
            f"{entry.label} ({entry.value}) belongs to a distribution whose metadata is damaged",
            where=entry.location,
            why="the *.dist-info folder has no readable METADATA; an interrupted install leaves that behind",
            fix="delete the folder, or install the distribution again with pip install --force-reinstall",
        )
    name = canonicalize_name(entry.distribution)
    if name == CORE:
        return
    if policy.allow is not None and name not in policy.allow:
        raise PluginError(
            "E-PLUGIN-010",
            f"{entry.label} comes from {entry.owner}, which this project does not allow",
            why=f"plugins.allow lists {', '.join(sorted(policy.allow)) or 'nothing'}",
            fix=f"add {name} to plugins.allow in the recipe, if you trust it",
        )
    _check_bound(entry, core_version)


def _check_bound(entry: Entry, core_version: str) -> None:
    bound = _bound_on_core(entry)
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


def _bound_on_core(entry: Entry) -> SpecifierSet:
    """All that the distribution itself (no extra of it) demands of the core here, taken together."""
    bound = SpecifierSet()
    for line in entry.requires:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue  # of old tools; a bound on the core that cannot be read is no bound, which is refused
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if canonicalize_name(requirement.name) == CORE and applies:
            bound &= requirement.specifier
    return bound


def _upgrade(entry: Entry, bound: SpecifierSet, core_version: str) -> str:
    """Which side is behind: the core if the bound begins above it, otherwise the plugin."""
    here = Version(core_version)
    lower = [part for part in bound if part.operator in (">", ">=", "~=", "==", "===")]
    if any(Version(part.version.removesuffix(".*")) > here for part in lower):
        return f"upgrade the core: pip install '{CORE}{bound}'"
    return (
        f"upgrade the plugin: pip install --upgrade {entry.distribution}; "
        f"or, if there is no newer one, use a core it knows: pip install '{CORE}{bound}'"
    )


def _next_major(version: str) -> str:
    return str(Version(version).major + 1)
