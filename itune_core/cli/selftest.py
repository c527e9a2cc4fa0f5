"""``itune selftest``: what a training relies on, tried out on the user's own model."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from itune_core.api.errors import RecipeError
from itune_core.cli.bench import bench_context, configure, setting, settled
from itune_core.cli.choosing import Json
from itune_core.cli.opening import Allow, Offline, prepare
from itune_core.cli.terminal import print_json, print_table

app = typer.Typer(help="Try out on a model what a training relies on.")

NOTE = 200
"""Characters of a note that are printed; --json prints all."""


@app.command()
def selftest(
    model: Annotated[
        str, typer.Option("--model", help="embedded:NAME, a hub id, or a local folder.", show_default=False)
    ],
    uses: Annotated[str, typer.Option("--uses", metavar="trainers/NAME", help="The trainer.")] = "trainers/sft",
    settings: Annotated[
        list[str], typer.Option("--with", metavar="KEY=VALUE", help="A setting; the value is YAML. Repeatable.")
    ] = [],  # noqa: B006  # typer copies it
    allow: Allow = [],  # noqa: B006
    offline: Offline = False,
    as_json: Json = False,
) -> None:
    """Train the model on a handful of made-up rows, in several ways, and say whether what must be equal is.

    Checked are the loss mask, the ends of answers, that rows laid end to end do not read each other, that a batch in
    parts is the same step, that the model learns to stop, and that a killed training ends with the same bytes. Nothing
    is kept. With --json: a list of mappings with name, passed, figure, tolerance and note.

    Exit code 1 if anything fails.
    """
    prepare(offline)

    from itune_core.plugins import catalog, loader
    from itune_core.plugins.policy import Policy

    stage, _, trainer = uses.partition("/")
    if stage != "trainers":
        raise RecipeError("E-SELFTEST-001", f"{uses} is no trainer", fix="itune plugins list trainers lists them")
    policy = Policy.of(allow)
    cls = loader.load(catalog.find(stage, trainer), policy)
    component: Any = configure(cls, uses, {"model": model, **dict(setting(text) for text in settings)})
    with tempfile.TemporaryDirectory(prefix="itune-selftest-") as folder:
        component = settled(component, Path(folder))
        checks = list(component.selftest(bench_context(uses, 0, Path(folder), policy, offline=offline)))
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        print_table(
            ["check", "", "figure", "tolerance", ""],
            [
                [
                    check.name,
                    "passed" if check.passed else "FAILED",
                    "" if check.figure is None else f"{check.figure:.3g}",
                    "" if check.tolerance is None else str(check.tolerance),
                    _in_short(check.note),
                ]
                for check in checks
            ],
            right=["figure", "tolerance"],
        )
    if not all(check.passed for check in checks):
        raise typer.Exit(1)


def _in_short(note: str) -> str:
    """The first line of a note: why a check failed can be the pages that a library says of it."""
    line = note.partition("\n")[0]
    return note if note == line and len(line) <= NOTE else f"{line[:NOTE]} ... (--json prints all)"
