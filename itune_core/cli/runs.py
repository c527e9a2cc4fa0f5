"""``itune runs``: the runs of a project, newest first."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from itune_core.cli.terminal import print_json, print_table, seconds
from itune_core.engine.home import Home
from itune_core.engine.presence import state
from itune_core.engine.runs import RunRecord, all_runs

app = typer.Typer(help="List the runs.")


@app.command()
def runs(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the runs of the project in this folder (or in ITUNE_HOME), newest first.

    With --json: a list of mappings with run, recipe (its name), file, state, started, ended, steps (how many were
    finished), made (how many of those were not taken from the store) and error. The state is running, done, failed,
    interrupted, or killed: it neither ended nor goes on.
    """
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
