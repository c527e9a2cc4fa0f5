"""``itune inspect``: the rows of a step, as data, as tokens with their loss mask, or as the prompt a model sees."""

from __future__ import annotations

import json
import shlex
from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from itune_core.api.errors import DataError, ModelError, RecipeError
from itune_core.api.records import Record, records
from itune_core.cli.opening import Allow, Offline, Overrides, RecipeFile, open_project
from itune_core.cli.terminal import safe, stdout
from itune_core.engine.errors import StoreError
from itune_core.recipe.kinds import handed_on

if TYPE_CHECKING:
    from itune_core.api.asking import Request
    from itune_core.engine.project import Project
    from itune_core.recipe.plan import StepNode

app = typer.Typer(help="Show rows as a trainer sees them: tokens, loss mask, prompt.")


@app.command()
def inspect(
    recipe: RecipeFile,
    step: Annotated[str, typer.Argument(metavar="STEP", help="A step of the recipe, or a variant of one.")],
    tokens: Annotated[bool, typer.Option("--tokens", help="Colour every token by whether it is trained on.")] = False,
    prompt: Annotated[int | None, typer.Option("--prompt", metavar="K", min=0, help="Render row K's prompt.")] = None,
    limit: Annotated[int, typer.Option("--rows", min=1, help="How many rows of a data set.")] = 3,
    overrides: Overrides = [],  # noqa: B006
    allow: Allow = [],  # noqa: B006
    offline: Offline = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
) -> None:
    """Show what goes into a step, of a mixer each data set. What stands before it must have been run."""
    project = open_project(recipe, overrides, allow=allow, offline=offline)
    node = _ready(project, step)
    if tokens:
        _tokens(project, node, limit, as_json)
    elif prompt is not None:
        typer.echo(safe(_prompt(project, node, prompt)))
    else:
        for name in handed_on(node.component):
            for view in project.flow.input(node.name, name) if name in node.inputs else ():
                for record in islice(records(view.dataset), limit):
                    shown = {name: value for name, value in record.items() if value not in (None, [])}
                    typer.echo(safe(json.dumps(shown, ensure_ascii=False, indent=None if as_json else 2)))


def _ready(project: Project, step: str) -> StepNode:
    """The node of that name, once the artifacts before it are found."""
    nodes = project.plan.nodes
    names = [name for name, node in nodes.items() if step in (name, node.step)]
    if not names:
        raise RecipeError("E-INSPECT-001", f"no step {step!r}", fix=f"steps: {', '.join(nodes)}")
    node = nodes[names[0]]
    if not node.inputs:
        raise RecipeError("E-INSPECT-002", f"{step!r} reads no records", fix="inspect a step after it")
    for earlier in nodes.values():
        found = project.find(earlier)
        if earlier.name == node.name:
            if found is None:
                break
            return node
    needed = [feed.node for feeds in node.inputs.values() for feed in feeds]
    needed += [name for name in (*node.models, *node.steps) if name in nodes]
    missing = next(name for name in needed if name not in project.artifacts)
    raise StoreError(
        "E-STORE-005",
        f"what {step!r} reads or asks is not made yet: {missing}",
        fix=f"itune run {project.plan.file} --only {shlex.quote(missing)}",
    )


def _tokens(project: Project, node: StepNode, limit: int, as_json: bool) -> None:
    from rich.text import Text

    component: Any = project.component(node)
    if node.stage != "trainers":
        raise RecipeError("E-INSPECT-003", f"{node.name} is no trainer; --tokens shows what a trainer trains on")
    views = {name: project.flow.input(node.name, name)[0] for name in node.inputs}
    inputs = {name: view.dataset for name, view in views.items()}
    console = stdout()
    for item, spans in islice(component.preview(inputs, _Preview(project)), limit):
        if as_json:
            typer.echo(safe(json.dumps({"id": item, "tokens": spans}, ensure_ascii=False)))
            continue
        trained = sum(flag for _, flag in spans)
        line = Text(f"{item}  {len(spans)} tokens, {trained} trained on\n", style="bold")
        for text, flag in spans:
            # colour alone would be lost in a pipe or on a monochrome screen: trained tokens are underlined too
            line.append(safe(text), style="green underline" if flag else "dim")
        console.print(line, soft_wrap=True)


class _Preview:
    """As much of a context as a preview needs."""

    def __init__(self, project: Project) -> None:
        self.model = project.source


def _prompt(project: Project, node: StepNode, row: int) -> str:
    """The text that the model of this step is shown for row number `row`."""
    from itune_core.api.asking import Embed

    view = project.flow.input(node.name)[0]
    if row >= len(view):
        raise RecipeError("E-INSPECT-004", f"{node.name} reads {len(view)} rows; there is no row {row}")
    record = next(islice(records(view.dataset), row, None))
    if node.stage == "trainers":
        component: Any = project.component(node)
        inputs = {name: project.flow.input(node.name, name)[0].dataset for name in node.inputs}
        wanted = (spans for item, spans in component.preview(inputs, _Preview(project)) if item == record["id"])
        spans = next(wanted, None)
        if spans is None:
            raise RecipeError("E-INSPECT-006", f"{node.name} leaves row {row} out", fix="itune ledger says why")
        return "".join(text for text, _ in spans)
    request = _first_request(project, node, record, row)
    if isinstance(request, Embed):
        return "\n".join(request.texts)
    served = project.served(request.model)
    return served.backend.render(request, served.source)


def _first_request(project: Project, node: StepNode, record: Record, row: int) -> Request:
    """What the step's component asks first for this record."""
    from itune_core.engine import handing
    from itune_core.engine.peeking import Found, Peeking
    from itune_core.plugins.session import Session

    view = project.flow.input(node.name)[0]
    peeking = Peeking(record["id"], row, frozenset(view.dataset["id"]))
    inputs = handing.inputs(node, {name: project.flow.input(node.name, name) for name in node.inputs})
    with TemporaryDirectory(prefix="itune-inspect-") as folder:
        context = handing.context(project, node, Path(folder), peeking, report=lambda done, total, figures: None)
        try:
            result = Session(node.stage, project.component(node), []).call(inputs=inputs, context=context)
            deque(result if isinstance(result, Iterator) else (), maxlen=0)
        except Found as found:
            return found.request
        except (DataError, ModelError):
            if not peeking.seen:
                raise
    if row < len(peeking.seen):
        return peeking.seen[row]
    raise RecipeError("E-INSPECT-005", f"{node.name} asks no model, for this row or at all", fix="try another row")
