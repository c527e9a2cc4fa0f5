"""Find: what is installed, by stage and name, without importing any of it.

Two views, each for what it is good at. stevedore's listing is cached on disk, so :func:`names` is cheap enough for
every press of the tab key; but it knows no owner, merges two distributions that publish the same target, and may miss
a distribution that was re-installed in place within the last two minutes. :func:`entries` and :func:`find` read the
installed metadata itself: they name the owner and version, see duplicates wherever they stand, and are never stale.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from itune_core.api.errors import PluginError
from itune_core.api.hookspecs import RESOURCES, STAGES

if TYPE_CHECKING:
    from importlib.metadata import Distribution

    from itune_core.plugins.installed import Installed

GROUPS = (*STAGES, *RESOURCES)
"""Stages in pipeline order, then resources; each is the entry-point group ``itune.<name>``."""

_GROUPS = {f"itune.{stage}": stage for stage in GROUPS}

CORE = "itune-core"
"""The distribution of the core itself."""

UNKNOWN = "?"
"""Distribution and version of an entry whose metadata is damaged; the policy refuses it. No distribution can be called
that, as there is one of the name ``unknown``."""


@dataclass(frozen=True, order=True)
class Entry:
    """Something installed that can be loaded; nothing of it has been imported.

    Attributes:
        stage: one of :data:`GROUPS`.
        name: its name in that stage.
        value: what is loaded, ``module:attribute``.
        distribution: name of the distribution that ships it, as its metadata spells it.
        version: that distribution's version.
        location: the folder on ``sys.path`` that holds the distribution's metadata.
        requires: the distribution's ``Requires-Dist`` lines.
    """

    stage: str
    name: str
    value: str
    distribution: str
    version: str
    location: str
    requires: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """As a recipe names it: ``trainers/dpo``."""
        return f"{self.stage}/{self.name}"

    @property
    def owner(self) -> str:
        """Who ships it: ``itune-trainers 0.1.0``."""
        return f"{self.distribution} {self.version}"

    def __str__(self) -> str:
        return f"{self.label} ({self.owner})"


def names(stage: str) -> list[str]:
    """Names installed in `stage`, sorted; fast, for completion and suggestions.

    May lag behind an in-place re-install for up to two minutes; :func:`find` never does.

    Raises:
        PluginError: ``E-PLUGIN-003`` there is no such stage.
    """
    from stevedore.named import NamedExtensionManager

    _check_stage(stage)
    # Asked for no names, a NamedExtensionManager imports nothing; there is no lister without an instance.
    manager = NamedExtensionManager(f"itune.{stage}", [], on_missing_entrypoints_callback=None)
    return sorted(set(manager.entry_points_names()))


def entries(stage: str) -> list[Entry]:
    """Everything installed in `stage`, sorted by name. A name that two distributions claim is there twice.

    Raises:
        PluginError: ``E-PLUGIN-003`` there is no such stage.
    """
    _check_stage(stage)
    return _installed().get(stage, [])[:]


def find(stage: str, name: str, prefer: Mapping[str, str] | None = None) -> Entry:
    """The one entry of that name. Does not load it.

    Args:
        stage, name: what a recipe calls ``stage/name``.
        prefer: label to the distribution it is to be taken from, whoever else publishes it.

    Raises:
        PluginError: ``E-PLUGIN-003`` there is no such stage; ``E-PLUGIN-001`` no such name is installed;
            ``E-PLUGIN-002`` more than one distribution publishes it; ``E-PLUGIN-014`` the preferred one does not.
    """
    from packaging.utils import canonicalize_name  # not at the top: completion needs none of it

    matches = [entry for entry in entries(stage) if entry.name == name]
    if not matches:
        refresh()  # installed since this process first looked?
        matches = [entry for entry in entries(stage) if entry.name == name]
    if not matches:
        raise _not_found(stage, name)
    preferred = (prefer or {}).get(f"{stage}/{name}")
    if preferred is not None:
        claims = matches
        matches = [entry for entry in claims if canonicalize_name(entry.distribution) == canonicalize_name(preferred)]
        if not matches:
            raise PluginError(
                "E-PLUGIN-014",
                f"plugins.prefer takes {stage}/{name} from {preferred}, which does not publish it here",
                why=f"it is published by {', '.join(entry.owner for entry in claims)}",
                fix=f"pip install {preferred}, or name another distribution in plugins.prefer",
            )
    if len(matches) > 1:
        owners = sorted({canonicalize_name(entry.distribution) for entry in matches})
        decide = (
            f"for steps of a recipe, say which there: plugins: {{prefer: {{{stage}/{name}: {owners[0]}}}}}; "
            "for a command without a recipe, "
        )
        raise PluginError(
            "E-PLUGIN-002",
            f"{stage}/{name} is published by {len(matches)} distributions",
            why="; ".join(f"{entry.owner} ({entry.value}) in {entry.location}" for entry in matches),
            fix=f"{decide if len(owners) > 1 else ''}pip uninstall all but one of {', '.join(owners)}",
        )
    return matches[0]


def parse(label: str) -> tuple[str, str]:
    """Stage and name of a label such as ``trainers/dpo``.

    Raises:
        PluginError: ``E-PLUGIN-004`` it is not of that form; ``E-PLUGIN-003`` there is no such stage.
    """
    stage, slash, name = label.partition("/")
    if not slash or not name or "/" in name:
        raise PluginError("E-PLUGIN-004", f"{label!r} is not STAGE/NAME", fix="write it as in trainers/dpo")
    _check_stage(stage)
    return stage, name


def refresh() -> None:
    """Forget what was read: the next look-up reads the installed metadata again."""
    _scan.cache_clear()


def nearest(word: str, known: Iterable[str]) -> list[str]:
    """At most three of `known` that look like `word`, best first."""
    from difflib import get_close_matches

    return get_close_matches(word, list(known), n=3, cutoff=0.6)


def _check_stage(stage: str) -> None:
    if stage not in GROUPS:
        close = nearest(stage, GROUPS)
        raise PluginError(
            "E-PLUGIN-003",
            f"there is no stage {stage!r}",
            why=f"stages are {', '.join(STAGES)}; resources are {', '.join(RESOURCES)}",
            fix=f"did you mean {' or '.join(close)}?" if close else None,
        )


def _not_found(stage: str, name: str) -> PluginError:
    installed = entries(stage)
    elsewhere = [f"{other}/{name}" for other in GROUPS if any(entry.name == name for entry in entries(other))]
    close = [f"{stage}/{near}" for near in nearest(name, (entry.name for entry in installed))]
    listed = ", ".join(f"{entry.name} ({entry.owner})" for entry in installed)
    hints = [f"did you mean {' or '.join([*elsewhere, *close])}?"] if elsewhere or close else []
    ours = f"itune-{stage}"
    if stage in STAGES and all(entry.distribution != ours for entry in installed):
        hints.append(f"pip install {ours}")
    else:
        hints.append(f"pip install the distribution that publishes {stage}/{name}")
    return PluginError(
        "E-PLUGIN-001",
        f"{stage}/{name} is not installed",
        why=f"installed {stage}: {listed}" if listed else f"no distribution here publishes {stage}",
        fix=" Otherwise ".join(hints),
    )


def _installed() -> dict[str, list[Entry]]:
    import sys

    return _scan(tuple(sys.path))


@lru_cache(maxsize=1)
def _scan(path: tuple[str, ...]) -> dict[str, list[Entry]]:
    """All our entries by stage, from one pass over the metadata on `path`, which must be ``sys.path``.

    Each distribution is read by itself (``importlib.metadata.entry_points`` reads all or none), so that one whose list
    of entry points is no list hides nothing but itself.
    """
    from itune_core.plugins.installed import installed

    found: dict[str, list[Entry]] = {}
    for one in installed(list(path)).values():
        if not (one.info / "entry_points.txt").is_file():
            continue
        distribution = one.metadata()
        try:
            points = [point for point in distribution.entry_points if point.group in _GROUPS]
        except (TypeError, ValueError):  # a line without "=", bytes that are no text
            continue
        if not points:  # parsing the metadata is the slow part of a scan
            continue
        owner = _owner(one, distribution)
        for point in points:
            stage = _GROUPS[point.group]
            found.setdefault(stage, []).append(Entry(stage, point.name, point.value, *owner))
    return {stage: sorted(members) for stage, members in found.items()}


def _owner(one: Installed, distribution: Distribution) -> tuple[str, str, str, tuple[str, ...]]:
    from packaging.utils import canonicalize_name

    location = str(distribution.locate_file(""))
    try:
        readable = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO")
    except UnicodeDecodeError:
        readable = None
    if not readable:
        # What an interrupted install leaves behind. Listing must survive it; using it is refused by the policy.
        return UNKNOWN, UNKNOWN, location, ()
    metadata = distribution.metadata
    name, version = metadata["Name"], metadata["Version"]
    # Locks and leave go by the name: two of them for one distribution, and anybody's could pass for the core.
    if not name or not version or canonicalize_name(name) != one.name:
        return UNKNOWN, UNKNOWN, location, ()
    return name, version, location, tuple(distribution.requires or ())
