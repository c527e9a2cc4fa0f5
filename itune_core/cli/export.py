"""``itune export``: the model of a training step as a folder that others can load, with a card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from itune_core.api.errors import RecipeError
from itune_core.cli.choosing import choose
from itune_core.cli.opening import Allow, Offline, open_project
from itune_core.cli.terminal import safe, size
from itune_core.engine.errors import StoreError

if TYPE_CHECKING:
    from itune_core.engine.project import Project
    from itune_core.engine.runs import RunRecord
    from itune_core.report.card import Base

app = typer.Typer(help="Write the model of a training step into a folder, with a card.")


@app.command()
def export(
    names: Annotated[
        list[str], typer.Argument(metavar="[RUN] STEP", help="A training step, or a variant of one; of the latest run.")
    ],
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="A new or empty folder.", show_default=False)],
    merge: Annotated[bool, typer.Option("--merge", help="Add the adapter into the weights of its base.")] = False,
    dtype: Annotated[
        Literal["float32", "bfloat16"] | None, typer.Option("--dtype", help="Of merged weights; float32.")
    ] = None,
    allow: Allow = [],  # noqa: B006  # typer copies it
    offline: Offline = False,
) -> None:
    """Write adapter or whole weights, tokenizer with chat template, generation config and a model card (README.md).

    With --merge, what the merged model computes is compared with what the adapter on its base does, and the largest
    difference is printed.
    """
    if dtype is not None and not merge:
        raise RecipeError("E-EXPORT-003", "--dtype is of merged weights", fix="add --merge, or leave --dtype out")
    run, step = choose(names)
    if step is None or run.data["steps"].get(step, {}).get("stage") != "trainers":
        trained = [name for name, saved in run.data["steps"].items() if saved["stage"] == "trainers"]
        raise StoreError(
            "E-EXPORT-004",
            f"{step or names[-1]!r} is no finished training of run {run.name}",
            fix=f"one of: {', '.join(trained)}" if trained else "choose a run that trains a model",
        )
    from itune_core.engine.exporting import copy_model, new_folder
    from itune_core.report import lineage
    from itune_core.report.card import Exported, model_card

    project = _project(run, step, allow, offline)
    source = project.source(step)
    if merge and source.adapter is None:
        raise RecipeError(
            "E-EXPORT-005",
            f"there is nothing to merge: {step!r} trained whole weights",
            fix="leave --merge out",
        )
    chain = lineage.trainings(run.data["steps"], step)
    base = _base(project, lineage.base_of(run.data["steps"], chain[0]))
    sits_on = _below(run, project, step)
    measured: Mapping[str, Any] | None = None
    with new_folder(to.absolute()) as folder:
        if merge:
            component: Any = project.component(project.plan.nodes[step])
            measured = component.merge(source, folder, dtype or "float32")
        else:
            copy_model(source, folder, sits_on or base.name)
        form = "merged" if merge else "full" if source.adapter is None else "adapter"
        exported = Exported(
            form,
            source.architecture,
            measured,
            dtype=(dtype or "float32") if merge else None,
            sits_on=sits_on if form == "adapter" else None,
        )
        components = {name: project.plan.nodes[name].component for name in chain if name in project.plan.nodes}
        card = model_card(run, project.store, step, base, exported, components)
        (folder / "README.md").write_text(card, "utf-8")
    if measured is not None:
        typer.echo(
            f"merged in {dtype or 'float32'}: no logit differs by more than {measured['difference']:.3g} from the "
            "adapter on its base in float32"
        )
    for path in sorted(to.rglob("*")):
        if path.is_file():
            typer.echo(f"{size(path.stat().st_size):>8}  {safe(str(path))}")


def _project(run: RunRecord, step: str, allow: list[str], offline: bool) -> Project:
    """The recipe of a run, opened again, with what the run made.

    Raises:
        StoreError: ``E-EXPORT-006`` the recipe has no such step any more; ``E-STORE-003`` its model was removed.
    """
    project = open_project(Path(run.data["recipe"]), run.data["overrides"], allow=allow, offline=offline)
    if step not in project.plan.nodes:
        raise StoreError(
            "E-EXPORT-006",
            f"the recipe has no step {step!r} any more",
            where=run.data["recipe"],
            fix=f"put the recipe back as it was: {run.folder / 'recipe.yaml'}",
        )
    for name, saved in run.data["steps"].items():
        found = project.store.get(saved["key"])
        if found is not None:  # of the others the card says that they are gone
            project.artifacts[name] = found
    run.artifact(project.store, step)
    return project


def _below(run: RunRecord, project: Project, step: str) -> str | None:
    """The step whose whole weights the adapter of `step` sits on, if it sits on those of a step."""
    pointer = project.artifacts[step].manifest["base"] or {}
    below = [name for name, saved in run.data["steps"].items() if saved["key"] == pointer.get("artifact")]
    return below[0] if below else None


def _base(project: Project, name: str) -> Base:
    """What the first training began with: a model of the recipe."""
    from itune_core.engine.embedded import EMBEDDED
    from itune_core.engine.exporting import public_name
    from itune_core.report.card import Base

    config = project.plan.models[name].config
    identity = project.resolver.identity(config.model, config.revision)
    known = EMBEDDED.get(config.model.removeprefix("embedded:")) if config.model.startswith("embedded:") else None
    return Base(public_name(config.model, identity), identity, known.licence if known else None)
