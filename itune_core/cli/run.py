"""``itune run``: execute a recipe, then print the table of what was measured."""

from __future__ import annotations

from typing import Annotated

import typer

from itune_core.cli.opening import Allow, Offline, Overrides, RecipeFile, open_project

app = typer.Typer(help="Run a recipe; finished steps are taken from the store.")


@app.command()
def run(
    recipe: RecipeFile,
    overrides: Overrides = [],  # noqa: B006  # typer copies it
    allow: Allow = [],  # noqa: B006
    only: Annotated[
        list[str], typer.Option("--only", metavar="STEP", help="Only this step and what it needs. Repeatable.")
    ] = [],  # noqa: B006
    offline: Offline = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes for per-row work; changes no result.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the run's record as JSON.")] = False,
) -> None:
    """Run a recipe.

    Each step's artifact is taken from the store if nothing it depends on has changed, and made otherwise. Interrupt it
    whenever you like: the next run goes on where this one stopped.
    """
    import json

    from rich.console import Console

    from itune_core.cli.metrics import print_metrics
    from itune_core.cli.progress import RunDisplay
    from itune_core.engine import runner

    project = open_project(recipe, overrides, allow=allow, offline=offline)
    with RunDisplay(Console(stderr=True)) as display:
        outcome = runner.run(project, runner.Options(tuple(only), workers, own_process=True), display.hear)
    if as_json:
        typer.echo(json.dumps(outcome.record.data, indent=2, ensure_ascii=False))
        return

    made = sum(not step["reused"] for step in outcome.record.data["steps"].values())
    typer.echo(f"run {outcome.record.name}: {len(outcome.record.data['steps'])} steps, {made} made now")
    print_metrics(outcome.record, project.store)
    if made:
        from itune_core.report import write_report

        typer.echo(f"report: {write_report(outcome.record, project.store)}")
