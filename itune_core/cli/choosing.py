"""``[RUN] STEP`` on the command line: which run is meant, and which step of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from itune_core.cli.terminal import safe
from itune_core.engine.errors import StoreError
from itune_core.engine.home import Home
from itune_core.engine.runs import RunRecord, all_runs, find_run

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RunName = Annotated[
    str | None,
    typer.Argument(metavar="[RUN]", help="A run's name, or how it begins or ends; the latest.", show_default=False),
]


def choose(names: Sequence[str]) -> tuple[RunRecord, str | None]:
    """The run and the step that the arguments name; no step if none is named.

    One name is a step of the latest run if that has such a step, and a run's name otherwise.

    Raises:
        StoreError: ``E-STORE-001`` no such run; ``E-STORE-002`` no such step; ``E-STORE-007`` neither.
    """
    home = Home.here()
    if len(names) > 2:
        raise typer.BadParameter("give RUN and STEP, at most")
    if not names:
        return find_run(home), None
    if len(names) == 2:
        run = find_run(home, names[0])
        return run, choose_step(run, names[1])
    (name,), latest = names, find_run(home)
    also = [run for run in all_runs(home) if run.is_called(name)]
    if steps := matching(latest, name):
        if also:
            text = f"{name!r} is a step of the latest run and is read as one; the run: itune show {also[0].name}"
            typer.echo(safe(f"note: {text}"), err=True)
        return latest, choose_step(latest, name) if len(steps) > 1 else steps[0]
    if also:
        return find_run(home, name), None
    raise StoreError(
        "E-STORE-007",
        f"neither a run nor a step of the latest run is called {name!r}",
        where=str(home.runs),
        fix=f"itune runs lists the runs; the steps of {latest.name}: {', '.join(steps_of(latest)) or 'none'}",
    )


def choose_step(run: RunRecord, name: str) -> str:
    """The step of that name, or the one variant of it that there is.

    Raises:
        StoreError: ``E-STORE-002`` there is none; ``E-STORE-008`` there are several variants.
    """
    found = matching(run, name)
    if not found:
        raise StoreError(
            "E-STORE-002",
            f"run {run.name} has no step {name!r}",
            fix=f"steps: {', '.join(steps_of(run)) or 'none was finished'}",
        )
    if len(found) > 1:
        raise StoreError("E-STORE-008", f"there are several variants of {name!r}", fix=f"one of: {', '.join(found)}")
    return found[0]


def steps_of(run: RunRecord) -> list[str]:
    """The steps that the run finished, then those that failed in it."""
    return [*run.data["steps"], *sorted(path.name for path in (run.folder / "failed").glob("*"))]


def matching(run: RunRecord, name: str) -> list[str]:
    """The step of that full name, else all its variants."""
    steps = steps_of(run)
    return [name] if name in steps else [step for step in steps if step.partition("[")[0] == name]
