"""A comparison of trainings: who takes part, what ratio is aimed at, and whether they computed the same."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from timing import Contender, race, save, spent, table

PEERS = Path(__file__).parent / "peers"


class Goal(NamedTuple):
    """Our figure is to be at most this share of theirs.

    Attributes:
        ours, theirs: names of contenders.
        most: the share.
        of: the least CPU time, or the median of the peak memory.
    """

    ours: str
    theirs: str
    most: float
    of: Literal["cpu", "peak_mb"] = "cpu"

    def reached(self, contenders: Mapping[str, Contender]) -> float:
        """The share that was measured."""
        ours, theirs = (_figure(contenders[name], self.of) for name in (self.ours, self.theirs))
        return ours / theirs


def options(description: str | None, *, rows: int, repeats: int) -> argparse.Namespace:
    """What every one of these benchmarks can be told."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=rows)
    parser.add_argument("--repeats", type=int, default=repeats)
    parser.add_argument("--json", type=Path, help="where to write the result")
    return parser.parse_args()


def peer(name: str, script: str, *arguments: Any, folder: Path, python: str = sys.executable) -> Contender:
    """A script of ``peers``, run in `folder`: what it uses, and the JSON object of its last line."""
    command = [python, str(PEERS / script), *map(str, arguments)]

    def run(turn: int) -> dict[str, Any]:
        used = spent(command, folder=folder)
        return {"cpu": used.cpu, "peak_mb": used.peak_mb, **json.loads(used.printed.splitlines()[-1])}

    return Contender(name, run)


def contest(
    given: argparse.Namespace,
    contenders: Sequence[Contender],
    goals: Sequence[Goal],
    *,
    equal: Sequence[tuple[str, str]] = (),
    within: float = 0.0,
    **settings: Any,
) -> None:
    """Race the contenders, print the table and each goal, and write the result.

    Args:
        given: of :func:`options`.
        contenders: in the table's order; ratios are to the first.
        goals: aimed at.
        equal: pairs of contenders that must have come to the same loss,
        within: up to this relative difference.
        settings: for the result.

    Raises:
        SystemExit: two that must be equal are not: then their times compare nothing.
    """
    race(contenders, given.repeats)
    named = {contender.name: contender for contender in contenders}
    print(table(contenders, contenders[0], ["loss", "peak_mb"]))
    reached = []
    for goal in goals:
        share = goal.reached(named)
        what = "CPU time" if goal.of == "cpu" else "peak memory"
        print(f"{goal.ours} / {goal.theirs}, {what}: {share:.2f}, goal {goal.most:.2f}")
        reached.append({**goal._asdict(), "reached": share})
    differences = {}
    for ours, theirs in equal:
        losses = [named[name].turns[-1]["loss"] for name in (ours, theirs)]
        differences[f"{ours} / {theirs}"] = difference = abs(losses[0] / losses[1] - 1)
        print(f"{ours} / {theirs}: losses {difference:.1e} apart, at most {within:.0e}")
    save(given.json, contenders, contenders[0], rows=given.rows, goals=reached, losses_apart=differences, **settings)
    if max(differences.values(), default=0.0) > within:
        sys.exit("the losses differ: this compares nothing")


def _figure(contender: Contender, of: str) -> float:
    return contender.cpu if of == "cpu" else statistics.median(turn[of] for turn in contender.turns)
