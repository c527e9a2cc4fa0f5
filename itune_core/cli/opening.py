"""From a recipe's file, or a run of one, to a project: what several commands begin with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from itune_core.engine.project import Project
    from itune_core.engine.runs import RunRecord

RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe's YAML file.", show_default=False)]
Overrides = Annotated[
    list[str],
    typer.Option("--set", metavar="KEY=VALUE", help="Change one value: steps.sft.with.learning_rate=1e-4. Repeatable."),
]
Allow = Annotated[
    list[str],
    typer.Option(
        "--allow",
        metavar="DIST",
        help="Let in the plugins of this distribution, for this once. A lock has the last word. Repeatable.",
    ),
]
Offline = Annotated[bool, typer.Option("--offline", help="Fetch nothing; open no connection.")]

TORCH_SETTINGS = {
    # Threads that wait for each other sleep. Spinning, two of them on two cores lose a factor of three as soon as
    # another program wants a core.
    "OMP_WAIT_POLICY": "PASSIVE",
    # How many matrix shapes torch keeps a oneDNN primitive for, each with its scratch memory; its own default is 1,024.
    # Rows of all lengths hardly ever repeat a shape from one batch to the next: that is 0.5 GB for no speed.
    "LRU_CACHE_CAPACITY": "16",
}
"""Environment of a run, unless the user has set it. torch reads these once, when it is imported or first used."""


def prepare(offline: bool = False) -> None:
    """Set what libraries read from the environment; call it before any of them is imported."""
    import os

    for name, value in TORCH_SETTINGS.items():
        os.environ.setdefault(name, value)
    if offline:  # the libraries that plugins use obey these
        os.environ["HF_HUB_OFFLINE"] = "1"
        os.environ["HF_DATASETS_OFFLINE"] = "1"


def open_project(
    recipe: Path, overrides: Sequence[str] = (), *, allow: Sequence[str] = (), offline: bool = False
) -> Project:
    """Compile a recipe and meet the machine with it.

    Raises:
        RecipeError: every mistake of the recipe.
        PluginError: this environment is not the one that the lock beside the recipe names.
    """
    prepare(offline)

    from itune_core.engine import extensions
    from itune_core.engine.home import Home
    from itune_core.engine.project import Project
    from itune_core.recipe.plan import compile

    plan = compile(recipe, overrides=overrides, allow=allow)
    loaded = tuple(extensions.load(plan.extensions, plan.policy))
    return Project(plan, Home.beside(recipe), offline=offline, extensions=loaded)


def reopen(
    run: RunRecord, overrides: Sequence[str] = (), *, allow: Sequence[str] = (), offline: bool = False
) -> Project:
    """The recipe of a run, as it is now, and the artifacts of the run that are still in the store.

    The recipe may have changed since: a step that the run made need not be in it, nor be what it was.
    """
    recipe = Path(run.data["recipe"])
    project = open_project(recipe, [*run.data["overrides"], *overrides], allow=allow, offline=offline)
    for name, saved in run.data["steps"].items():
        found = project.store.get(saved["key"])
        if found is not None:
            project.artifacts[name] = found
    return project
