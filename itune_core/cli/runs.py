"""``itune runs``: the runs of a project, newest first, and how two of them differ."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from itune_core.cli.choosing import Json
from itune_core.cli.terminal import print_json, print_table, safe, seconds
from itune_core.engine.home import Home
from itune_core.engine.presence import state
from itune_core.engine.runs import RunRecord, all_runs, find_run
from itune_core.engine.store import Store

if TYPE_CHECKING:
    from itune_core.engine.keys import Change
    from itune_core.report.comparison import Figure
    from itune_core.report.difference import Difference

app = typer.Typer(help="List the runs; say how two of them differ.")

WIDE = 60
"""Characters of a value that are printed; --json prints all."""


@app.callback(invoke_without_command=True)
def runs(context: typer.Context, as_json: Json = False) -> None:
    """List the runs of the project in this folder (or in ITUNE_HOME), newest first.

    With --json: a list of mappings with run, recipe (its name), file, state, started, ended, steps (how many were
    finished), made (how many of those were not taken from the store) and error. The state is running, done, failed,
    interrupted, or killed: it neither ended nor goes on.
    """
    if context.invoked_subcommand:
        return
    found = [_facts(run) for run in all_runs(Home.here())]
    if as_json:
        print_json(found)
    elif found:
        print_table(
            ["run", "state", "started", "took", "steps", "made"],
            [
                [run["run"], run["state"], _clock(run["started"]), _took(run), str(run["steps"]), str(run["made"])]
                for run in found
            ],
            right=["took", "steps", "made"],
        )
    else:
        typer.echo("no runs yet; itune run RECIPE makes one")


@app.command()
def diff(
    old: Annotated[str, typer.Argument(metavar="A", help="A run's name, or how it begins or ends.")],
    new: Annotated[str, typer.Argument(metavar="B", help="The run to compare with it.")],
    as_json: Json = False,
) -> None:
    """Say how run B differs from run A: plugins first, then recipe, steps, and what was measured.

    With --json: plugins and recipe (lists of path, old, new), steps (a list of step, old, new, which are keys, and
    changes, a list of path, old, new), figures (a list of step, figure, model, old, new, which have value, low, high,
    error), same_figures (how many are equal).
    """
    from itune_core.report.difference import difference

    home = Home.here()
    found = difference(find_run(home, old), find_run(home, new), Store(home))
    if as_json:
        print_json(_plain(found))
    else:
        _print_difference(found)


def _plain(found: Difference) -> dict[str, Any]:
    def plain(figure: Figure | None) -> dict[str, Any] | None:
        return figure and figure._asdict()

    return {
        "plugins": [change._asdict() for change in found.plugins],
        "recipe": [change._asdict() for change in found.recipe],
        "steps": [{**step._asdict(), "changes": [one._asdict() for one in step.changes]} for step in found.steps],
        "figures": [{**one._asdict(), "old": plain(one.old), "new": plain(one.new)} for one in found.figures],
        "same_figures": found.same_figures,
    }


def _print_difference(found: Difference) -> None:
    from itune_core.report.comparison import shown

    for title, members in (("plugins", found.plugins), ("recipe", found.recipe)):
        typer.echo(f"{title}:" if members else f"{title}: the same")
        for change in members:
            typer.echo(_line(change, "  "))
    typer.echo("steps:" if found.steps else "steps: the same")
    for step in found.steps:
        gone = {(True, False): "not in A", (False, True): "not in B"}.get((step.old is None, step.new is None))
        typer.echo(safe(f"  {step.step}: {gone or f'{str(step.old)[:12]} -> {str(step.new)[:12]}'}"))
        for change in step.changes:
            typer.echo(_line(change, "    "))
    same = f", {found.same_figures} the same" if found.same_figures else ""
    typer.echo(f"figures: {len(found.figures)} differ{same}" if found.figures else f"figures: none differs{same}")
    if found.figures:
        print_table(
            ["step", "figure", "model", "A", "B"],
            [[one.step, one.figure, one.model, shown(one.old), shown(one.new)] for one in found.figures],
            right=["A", "B"],
        )


def _line(change: Change, indent: str) -> str:
    old, new = (_short(value) for value in (change.old, change.new))
    return safe(f"{indent}{change.path}: {old} -> {new}")


def _short(value: Any) -> str:
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= WIDE else f"{text[: WIDE - 1]}…"


def _facts(run: RunRecord) -> dict[str, Any]:
    steps = run.data["steps"].values()
    return {
        "run": run.name,
        "recipe": run.data["name"],
        "file": run.data["recipe"],
        "state": state(run),
        "started": run.data["started"],
        "ended": run.data.get("ended"),
        "steps": len(steps),
        "made": sum(not step["reused"] for step in steps),
        "error": run.data.get("error"),
    }


def _clock(stamp: str) -> str:
    return f"{datetime.fromisoformat(stamp):%Y-%m-%d %H:%M} UTC"


def _took(run: dict[str, Any]) -> str:
    if run["ended"] is None:
        return ""
    return seconds((datetime.fromisoformat(run["ended"]) - datetime.fromisoformat(run["started"])).total_seconds())
