"""``itune show``: a run step by step, or what one step left."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from itune_core.cli.choosing import Json, choose
from itune_core.cli.ledger import balance
from itune_core.cli.metrics import print_metrics
from itune_core.cli.terminal import print_json, print_table, safe, seconds
from itune_core.engine.home import Home
from itune_core.engine.presence import state
from itune_core.engine.runs import RunRecord
from itune_core.engine.store import Store
from itune_core.report.artifacts import RunArtifacts
from itune_core.report.comparison import number
from itune_core.report.mixture import mixtures, percent

app = typer.Typer(help="Show a run, or one step of it.")

TEXT = 300
"""Characters of one value that are printed; --json prints all."""


@app.command()
def show(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN] [STEP]", help="The latest run if no RUN is given.", show_default=False),
    ] = None,
    rows: Annotated[int, typer.Option("--rows", min=0, help="How many rows of a step.")] = 3,
    as_json: Json = False,
) -> None:
    """Show the steps of a run; or what one step left: its balance, first rows, figures, end of its training history.

    With --json, of a run: its record (run.json) and its name as run. Of a step: its manifest (artifact.json) with run,
    step, reused and identities (of the models it names); and rows (the first, by output), history (of a trainer, whole)
    or results (the first, of an evaluator).
    """
    run, step = choose(names or [])
    store = Store(Home.here())
    if step is None:
        if as_json:
            print_json({"run": run.name, **run.data, "state": state(run)})
        else:
            _show_run(run, store)
    elif step not in run.data["steps"]:
        if as_json:
            print_json({"run": run.name, "step": step, "state": "failed", "error": run.data.get("error")})
        else:
            typer.echo(safe(f"{step} failed in run {run.name}\n{run.data.get('error') or ''}"))
    else:
        run.artifact(store, step)
        artifacts = RunArtifacts(run, store)
        facts = _facts(artifacts, step, rows)
        if as_json:
            print_json(facts)
        else:
            _show_step(artifacts, store, step, facts)


def _facts(artifacts: RunArtifacts, step: str, limit: int) -> dict[str, Any]:
    saved, manifest = artifacts.run.data["steps"][step], artifacts.found[step].manifest
    facts = {
        **manifest,
        "run": artifacts.run.name,
        "step": step,
        "reused": saved["reused"],
        "identities": saved["identities"],
    }
    if artifacts.readable(step):
        facts["rows"] = {output: artifacts.rows(step, output, limit) for output in manifest["outputs"]}
    elif manifest["stage"] == "trainers":
        facts["history"] = artifacts.history(step)
    elif manifest["stage"] == "evaluators":
        facts["results"] = artifacts.results(step, limit)
    return facts


def _show_run(run: RunRecord, store: Store) -> None:
    typer.echo(safe(f"run {run.name}: {state(run)}"))
    if run.data["steps"]:
        typer.echo()
        print_table(
            ["step", "component", "gives", "books", "made", "took"],
            [
                [
                    name,
                    step["component"],
                    gives(step),
                    balance(step["counts"]),
                    "reused" if step["reused"] else "now",
                    seconds(step["seconds"]),
                ]
                for name, step in run.data["steps"].items()
            ],
            right=["took"],
        )
    if run.data.get("error"):
        typer.echo(f"\n{safe(run.data['error'])}")
    typer.echo()
    print_metrics(run, store)


def gives(saved: Mapping[str, Any]) -> str:
    """What a step left, in words: ``41 conversation``, ``train 36, held_out 5``, ``a model``, ``figures``."""
    rows = {name: output["rows"] for name, output in saved["outputs"].items() if "rows" in output}
    if not rows:
        return "a model" if saved["stage"] == "trainers" else "figures"
    if len(rows) == 1:
        return f"{next(iter(rows.values())):,} {saved['kind'] or 'rows'}"
    return ", ".join(f"{name} {count:,}" for name, count in rows.items())


def _show_step(artifacts: RunArtifacts, store: Store, step: str, facts: Mapping[str, Any]) -> None:
    run = artifacts.run
    typer.echo(safe(f"{step} ({facts['component']}) in run {run.name}"))
    typer.echo(f"  {balance(facts['counts'])}")
    made = "taken from the store; made" if facts["reused"] else "made"
    typer.echo(f"  {made} {facts['created']} in {seconds(facts['seconds'])}, {facts['cpu_seconds']:.1f} s of CPU time")
    if any(facts["requests"].values()):
        typer.echo(f"  {facts['requests']['asked']:,} requests, {facts['requests']['recalled']:,} from the journal")
    if reading := facts["parts"]["config"].get("reading") if facts["stage"] == "formatters" else None:
        typer.echo(safe(f"  read as {reading['format']} in {reading['encoding']}"))
    typer.echo(f"  key {facts['key']}")
    if facts["stage"] == "mixers":
        _show_mix(artifacts.sources(step), facts["mix"])
    for output, rows in facts.get("rows", {}).items():
        whole = facts["outputs"][output]
        typer.echo(safe(f"\n{output}: {whole['rows']:,} rows, digest {whole['digest']}"))
        for row in rows:
            typer.echo()
            _show_row(row)
    if facts["stage"] == "trainers":
        _show_training(facts)
    if facts["stage"] == "evaluators":
        typer.echo()
        print_metrics(run, store, step)


def _show_mix(names: Sequence[str], phases: Sequence[Mapping[str, Any]]) -> None:
    """What was asked of each source and what was drawn, of all phases and of each."""
    for mix in mixtures(names, phases):
        typer.echo(f"\n{mix.title}" if mix.title else "")
        print_table(
            ["source", "rows", "drawn", "asked", "by rows", "by tokens"],
            [
                [
                    portion.source,
                    f"{portion.rows:,}",
                    f"{portion.drawn:,}",
                    *map(percent, (portion.asked, portion.by_rows, portion.by_tokens)),
                ]
                for portion in mix.portions
            ],
            right=["rows", "drawn", "asked", "by rows", "by tokens"],
        )


def _show_row(row: Mapping[str, Any]) -> None:
    for name, value in row.items():
        if name == "kind" or value is None or value == []:
            continue
        if isinstance(value, list) and all(isinstance(item, dict) and "role" in item for item in value):
            typer.echo(f"  {safe(name)}:")
            for turn in value:
                typer.echo(f"    {safe(turn['role'])}: {_clipped(turn['content'] or '')}")
        else:
            typer.echo(f"  {safe(name)}: {_clipped(value if isinstance(value, str) else json.dumps(value))}")


def _show_training(facts: Mapping[str, Any]) -> None:
    typer.echo()
    for name, value in facts["metrics"].items():
        shown = number(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else json.dumps(value)
        typer.echo(safe(f"  {name}: {shown}"))
    history: Sequence[Mapping[str, Any]] = facts["history"]
    if history:
        last = history[-5:]
        names = list(dict.fromkeys(name for entry in last for name in entry))  # not all steps are evaluated
        typer.echo()
        print_table(
            names,
            [[number(entry[name]) if name in entry else "" for name in names] for entry in last],
            right=names,
        )


def _clipped(text: str) -> str:
    """One value on as many lines as it has, its continuation indented, cut where it is long."""
    shown = text if len(text) <= TEXT else f"{text[:TEXT]} ... ({len(text):,} characters)"
    return safe(shown).replace("\n", "\n      ")
