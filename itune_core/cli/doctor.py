"""``itune doctor``: whether this machine and this installation can do the work, and what to do where they cannot."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from itune_core.cli.terminal import safe

app = typer.Typer(help="Check this machine and installation.")


@app.command()
def doctor(
    allow: Annotated[
        list[str],
        typer.Option("--allow", metavar="DIST", help="Import the plugins of this distribution too. Repeatable."),
    ] = [],  # noqa: B006  # typer copies it
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look at Python, memory, disk and folders, the libraries and their bounds, each plugin, caches and leftovers.

    Plugins are imported in another process, and only those of first-party distributions and of any that is allowed. A
    line that begins with `note` tells what is worth knowing; with BAD, what keeps something from working. What to do
    about it stands below. With --json: a list of mappings with subject, well, seen and advice.

    Exit code 1 if anything is BAD.
    """
    from itune_core.cli.checkup.bounds import bounds
    from itune_core.cli.checkup.leftovers import listing, models, project
    from itune_core.cli.checkup.libraries import libraries
    from itune_core.cli.checkup.machine import folders, machine
    from itune_core.cli.checkup.plugins import plugins

    findings = [
        *machine(),
        *folders(),
        *libraries(),
        *bounds(),
        *plugins(allow),
        *listing(),
        *models(),
        *project(),
    ]
    if as_json:
        typer.echo(json.dumps([finding._asdict() for finding in findings], indent=2))
    else:
        for finding in findings:
            typer.echo(f"{finding.mark:<5}{safe(finding.subject)}: {safe(finding.seen)}")
            if finding.advice:
                typer.echo(f"     -> {safe(finding.advice)}")
    if not all(finding.well for finding in findings):
        raise typer.Exit(1)
