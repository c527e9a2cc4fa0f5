"""``itune plugins new``: a distribution of one's own, ready to be tested and published."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from itune_core.cli.terminal import safe


def _stages(incomplete: str) -> list[str]:
    from itune_core.scaffold.stages import STAGES

    return [stage for stage in STAGES if stage.startswith(incomplete)]


def new(
    stage: Annotated[
        str, typer.Argument(metavar="STAGE", autocompletion=_stages, help="filters, trainers, objectives, ...")
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", help="What a recipe says after the slash, such as my-filter.")],
    folder: Annotated[Path, typer.Option("--dir", help="Where to put the new folder, itune-NAME.")] = Path(),
    author: Annotated[
        str | None, typer.Option("--author", help="For the licence and the metadata; unset: what git says.")
    ] = None,
) -> None:
    """Write a new distribution with one component of STAGE: code, tests, licence, README and a publishing workflow.

    Besides the stages there is `objectives`: a trainer that is told by its loss alone.

    The component works as it is, and passes its own tests; put your own behaviour in its place. Nothing is overwritten.
    """
    from itune_core.scaffold import author as authors
    from itune_core.scaffold import names, project

    chosen = names.choose(stage, name)
    files = project.render(chosen, authors.find_author(author), project.this_year())
    target = folder / chosen.distribution
    project.write(target, files)
    typer.echo(f"wrote {len(files)} files; next:\n")
    typer.echo(f"  cd {safe(_quoted(target))}\n  pip install -e . --group dev\n  pytest")


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))
