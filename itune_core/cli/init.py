"""``itune init``: a first recipe with its own rows, ready to run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from itune_core.engine.errors import StoreError

app = typer.Typer(help="Write a first recipe and its rows into a folder.")


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where to; made if absent.")] = Path(),
) -> None:
    """Copy the quickstart into a folder: a recipe of seven stages and hand-written rows. Nothing is overwritten."""
    source = quickstart()
    names = [path.relative_to(source) for path in sorted(source.rglob("*")) if path.is_file()]
    targets = {source / name: folder / name for name in names if not name.parts[0].startswith(".")}
    for target in targets.values():
        if target.exists():
            raise StoreError("E-INIT-001", f"{target} exists", fix="name an empty folder: itune init my-project")
    for path, target in targets.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    typer.echo(f"wrote {len(targets)} files; next: itune run {folder / 'recipe.yaml'}")


def quickstart() -> Path:
    """The quickstart's files: inside an installed package, or in the source tree of an editable one."""
    package = Path(__file__).parents[1]
    inside = package / "quickstart"
    return inside if inside.is_dir() else package.parent / "examples" / "quickstart"
