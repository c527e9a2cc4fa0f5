"""``itune report``: a run as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from itune_core.cli.choosing import RunName
from itune_core.engine.home import Home
from itune_core.engine.runs import find_run
from itune_core.engine.store import Store

app = typer.Typer(help="Write the HTML report of a run.")


@app.command()
def report(
    run: RunName = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to; report.html in the run's folder if not given."),
    ] = None,
) -> None:
    """Write the report of a run and print where it is: one file that needs nothing else and holds no script."""
    from itune_core.report import write_report

    home = Home.here()
    typer.echo(str(write_report(find_run(home, run), Store(home), output)))
