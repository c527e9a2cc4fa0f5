"""``itune export``: the model of a training step as a folder that others can load, with a card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from itune_core.api.errors import ModelError, RecipeError
from itune_core.cli.choosing import choose
from itune_core.cli.opening import Allow, Offline, Overrides, reopen
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
    overrides: Overrides = [],  # noqa: B006  # typer copies it
    allow: Allow = [],  # noqa: B006
    offline: Offline = False,
) -> None:
    """Write adapter or whole weights, tokenizer with chat template, generation config and a model card (README.md).

    With --merge, what the merged model computes is compared with what the adapter on its base does, and the largest
    difference is printed.
    """
    if dtype is not None and not merge:
        raise RecipeError(
            "E-EXPORT-003",
            "--dtype is the type of merged weights, and nothing is merged",
            fix="add --merge, or leave --dtype out",
        )
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

    project = _project(run, step, overrides, allow, offline)
    source = project.source(step)
    if merge and source.adapter is None:
        raise RecipeError(
            "E-EXPORT-005",
            f"there is nothing to merge: {step!r} trained whole weights",
            fix="leave --merge out",
        )
    chain = lineage.trainings(run.data["steps"], step)
    base = _base(project, run, chain)
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
        components = {name: project.plan.nodes[name].component for name in chain if _is_still(project, run, name)}
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


def _project(run: RunRecord, step: str, overrides: list[str], allow: list[str], offline: bool) -> Project:
    """The recipe of a run, opened again, with what the run made.

    Raises:
        StoreError: ``E-EXPORT-006`` the recipe has no such training any more; ``E-STORE-003`` its model was removed.
    """
    project = reopen(run, overrides, allow=allow, offline=offline)
    if not _is_still(project, run, step):
        raise StoreError(
            "E-EXPORT-006",
            f"the recipe has no step {step!r} of {run.data['steps'][step]['component']} any more",
            where=run.data["recipe"],
            fix=f"put the recipe back as it was: {run.folder / 'recipe.yaml'}",
        )
    run.artifact(project.store, step)
    return project


def _is_still(project: Project, run: RunRecord, step: str) -> bool:
    """Whether a step of the recipe is of the component that the run made it with."""
    node = project.plan.nodes.get(step)
    return node is not None and node.entry.label == run.data["steps"][step]["component"]


def _below(run: RunRecord, project: Project, step: str) -> str | None:
    """The step whose whole weights the adapter of `step` sits on, if it sits on those of a step."""
    pointer = project.artifacts[step].manifest["base"] or {}
    below = [name for name, saved in run.data["steps"].items() if saved["key"] == pointer.get("artifact")]
    return below[0] if below else None


def _base(project: Project, run: RunRecord, chain: Sequence[str]) -> Base:
    """What the first training began with: as an adapter's manifest has it, else the recipe if that is unchanged."""
    from itune_core.engine.embedded import EMBEDDED
    from itune_core.engine.exporting import public_name
    from itune_core.report import lineage
    from itune_core.report.card import Base

    pointers = (project.artifacts[name].manifest["base"] or {} for name in chain if name in project.artifacts)
    name = lineage.base_of(run.data["steps"], chain[0])
    if pointer := next((pointer for pointer in pointers if "spec" in pointer), None):
        spec, identity = pointer["spec"], pointer["identity"]
    elif _unchanged(project, name, run.data["steps"][chain[0]]["identities"][name]):
        config = project.plan.models[name].config
        spec, identity = config.model, project.resolver.identity(config.model, config.revision)
    else:
        return Base(name, None, None)
    known = EMBEDDED.get(spec.removeprefix("embedded:")) if spec.startswith("embedded:") else None
    return Base(public_name(spec, identity), identity, known.licence if known else None)


def _unchanged(project: Project, name: str, identity: str) -> bool:
    """Whether the recipe's model of that name is the one that a run was made with."""
    try:
        return name in project.plan.models and project.identity(name) == identity
    except ModelError:  # it cannot be had any more; whole weights can do without
        return False
