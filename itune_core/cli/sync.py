"""``itune sync``: install exactly what the lock beside a recipe names."""

from __future__ import annotations

import typer

from itune_core.cli.opening import RecipeFile
from itune_core.cli.terminal import safe

app = typer.Typer(help="Install exactly what the lock of a recipe names.")


@app.command()
def sync(recipe: RecipeFile) -> None:
    """Make this environment the one that pylock.itune.toml names: uv does it where there is one, otherwise pip.

    Hashes are checked. Plugins whose files are not those of the locked wheel are installed afresh; plugin distributions
    that are not in the lock are uninstalled; other packages that are not in it are left alone.
    """
    from itune_core.plugins.locks import lock as lockfile
    from itune_core.plugins.locks import syncing

    lock = lockfile.find(recipe)
    if lock is None:
        raise lockfile.none_beside(recipe)
    changes = syncing.changes(lock, recipe)
    for verb, names in (
        ("uninstalling", changes.uninstall),
        ("installing", changes.install),
        ("installing afresh", changes.replace),
    ):
        for name in names:
            version = f" {lock.packages[name].version}" if name in lock.packages else ", which is not in the lock"
            typer.echo(safe(f"{verb} {name}{version}"))
    syncing.sync(lock, recipe, changes, lambda line: typer.echo(safe(line)))
    typer.echo(safe(f"this environment is that of {lock.file.name}: {len(lock.packages)} packages"))
