"""``itune fetch``: get everything a recipe needs, so that ``--offline`` can do without a connection."""

from __future__ import annotations

import typer

from itune_core.cli.opening import Allow, Overrides, RecipeFile, open_project
from itune_core.cli.terminal import safe

app = typer.Typer(help="Fetch everything a recipe needs, to run it offline later.")


@app.command()
def fetch(
    recipe: RecipeFile,
    overrides: Overrides = [],  # noqa: B006  # typer copies it
    allow: Allow = [],  # noqa: B006
) -> None:
    """Fetch the models of a recipe and check their hashes; what is here already is left alone."""
    project = open_project(recipe, overrides, allow=allow)
    for name, model in project.plan.models.items():
        if not model.component.needs_weights:
            typer.echo(f"{name}: served, nothing to fetch")
            continue
        source = project.source(name)
        size = sum(path.stat().st_size for path in source.files.rglob("*") if path.is_file())
        typer.echo(f"{name}: {safe(source.spec)} is at {source.files} ({size / 1e6:.0f} MB)")
    project.digests.save()
