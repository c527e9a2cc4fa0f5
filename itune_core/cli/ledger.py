"""``itune ledger``: what became of each input of a step that did not pass, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from itune_core.cli.choosing import Json, choose
from itune_core.cli.terminal import print_json, safe
from itune_core.engine import ledger
from itune_core.engine.home import Home
from itune_core.engine.runs import RunRecord
from itune_core.engine.store import Store

app = typer.Typer(help="Say what became of each record, and why.")

SHOWN = 10
"""Lines printed for each reason unless --limit says otherwise."""


@app.command("ledger")
def command(
    names: Annotated[list[str], typer.Argument(metavar="[RUN] STEP", help="The step; RUN is the latest if not given.")],
    limit: Annotated[
        int | None,
        typer.Option(
            min=0, help=f"Most lines for each reason; 0 is all. {SHOWN}, or all with --json.", show_default=False
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what a step dropped on purpose and what failed in it: first how often for each reason, then line by line.

    A step that failed as a whole has a ledger too, up to where it stopped.

    With --json: run, step, state (done or failed), counts (the balance of inputs; null if the step failed), reasons (a
    list of outcome, reason and count, most frequent first) and lines (a list of item, outcome, reason and detail).
    """
    run, step = choose(names)
    if step is None:
        raise typer.BadParameter(f"{names[0]} is a run; name a step of it too")
    saved = run.data["steps"].get(step)
    folder = _folder(run, step)
    counted: Counter[tuple[str, str]] = Counter()
    most = (0 if as_json else SHOWN) if limit is None else limit
    lines = list(_first(ledger.read(folder), most, counted))
    if as_json:
        print_json(
            {
                "run": run.name,
                "step": step,
                "state": "done" if saved else "failed",
                "counts": saved and saved["counts"],
                "reasons": [
                    {"outcome": outcome, "reason": reason, "count": count}
                    for (outcome, reason), count in counted.most_common()
                ],
                "lines": lines,
            }
        )
        return
    typer.echo(safe(f"{step}: {balance(saved['counts']) if saved else 'failed; its ledger up to there'}"))
    for (outcome, reason), count in counted.most_common():
        typer.echo(safe(f"\n{outcome} {reason}: {count:,}"))
        group = [line for line in lines if (line["outcome"], line["reason"]) == (outcome, reason)]
        for line in group:
            typer.echo(safe(f"  {line['item']}" + (f": {_one_line(line['detail'])}" if line["detail"] else "")))
        if count > len(group):
            typer.echo(f"  ... and {count - len(group):,} more (--limit 0 shows all)")


def balance(counts: Mapping[str, Any]) -> str:
    """The books of a step in words: ``40 in, 30 used, 8 dropped, 2 failed``."""
    parts = [f"{counts['inputs']:,} in", f"{counts['used']:,} used"]
    for word in ("dropped", "failed"):
        if counts[word]:
            parts.append(f"{sum(counts[word].values()):,} {word}")
    if counts.get("rejected"):
        parts.append(f"{sum(counts['rejected'].values()):,} rejected")
    for word in ("not_drawn", "created"):
        if counts[word]:
            parts.append(f"{counts[word]:,} {word.replace('_', ' ')}")
    return ", ".join(parts)


def _folder(run: RunRecord, step: str) -> Path:
    if step in run.data["steps"]:
        return run.artifact(Store(Home.here()), step).folder
    return run.folder / "failed" / step


def _first(
    lines: Iterable[Mapping[str, Any]], limit: int, counted: Counter[tuple[str, str]]
) -> Iterable[Mapping[str, Any]]:
    """The first `limit` lines of each reason (0: all), while all are counted."""
    for line in lines:
        reason = line["outcome"], line["reason"]
        counted[reason] += 1
        if limit == 0 or counted[reason] <= limit:
            yield line


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else f"{line[:200]} ..."
