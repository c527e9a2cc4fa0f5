"""What a mixer was asked for and what it drew, source by source, the sources called by the steps they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple


class Portion(NamedTuple):
    """One source's part of a mix, or of a phase of it.

    Attributes:
        source: the step it comes from, with the output where that step has several.
        rows: how many it has.
        drawn: how many were drawn of it.
        asked: share of the rows that was asked of it; None: no shares were asked.
        by_rows: its share of the rows drawn; None if none were drawn.
        by_tokens: its share of the tokens drawn; None if they were not counted, or none were drawn.
    """

    source: str
    rows: int
    drawn: int
    asked: float | None
    by_rows: float | None
    by_tokens: float | None


@dataclass(frozen=True)
class Mixture:
    """A mix, or a phase of it.

    Attributes:
        title: which; empty if the mix has one phase.
        portions: one a source, in order.
    """

    title: str
    portions: Sequence[Portion]


def sources(saved: Mapping[str, Any], manifest: Mapping[str, Any], steps: Mapping[str, Any]) -> list[str]:
    """Names of the data sets that a mixer draws from, in order.

    Args:
        saved: the mixer's step in the run's record.
        manifest: of its artifact, which may have been made by another run: it knows the data sets by number only.
        steps: all steps of the run's record.
    """
    feeds = [feed for name in manifest["drawn_from"] for feed in saved["inputs"][name]]
    return [
        f"{feed['node']}.{feed['output']}" if len(steps[feed["node"]]["outputs"]) > 1 else feed["node"]
        for feed in feeds
    ]


def mixtures(names: Sequence[str], phases: Sequence[Mapping[str, Any]]) -> list[Mixture]:
    """The mix as a whole and, if it has several phases, each of them.

    Args:
        names: of the sources, see :func:`sources`.
        phases: what the manifest holds, see :func:`itune_core.engine.mixing.tally`.
    """
    if len(phases) == 1:
        return [_mixture("", names, phases)]
    each = [_mixture(f"phase {phase['phase']}", names, [phase]) for phase in phases]
    return [_mixture("all phases", names, phases), *each]


def _mixture(title: str, names: Sequence[str], phases: Sequence[Mapping[str, Any]]) -> Mixture:
    parts = list(zip(*(phase["sources"] for phase in phases), strict=True))
    totals = [sum(source["drawn"] for source in phase["sources"]) for phase in phases]
    drawn = [sum(part["drawn"] for part in source) for source in parts]
    tokens = [sum(part["tokens"] or 0 for part in source) for source in parts]
    return Mixture(
        title,
        [
            Portion(
                name,
                source[0]["rows"],
                drawn[number],
                _asked(source, totals),
                _share(drawn[number], sum(drawn)),
                _share(tokens[number], sum(tokens)),
            )
            for number, (name, source) in enumerate(zip(names, parts, strict=True))
        ],
    )


def _asked(source: Sequence[Mapping[str, Any]], totals: Sequence[int]) -> float | None:
    """What was asked of a source in all phases: the mean of its shares, each counting as many rows as its phase has."""
    if any(part["asked"] is None for part in source):
        return None
    if len(source) == 1:
        return float(source[0]["asked"])
    return _share(sum(part["asked"] * total for part, total in zip(source, totals, strict=True)), sum(totals))


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def percent(share: float | None) -> str:
    """A share for people: ``12.5%``, ``0.04%``; empty if there is none."""
    if share is None:
        return ""
    return f"{share:.1%}" if share >= 0.001 or share == 0 else f"{share:.2%}"
