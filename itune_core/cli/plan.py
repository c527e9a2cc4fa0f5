"""``itune plan``: what a run would do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from itune_core.api.records import spelt
from itune_core.cli.opening import Allow, Overrides, RecipeFile, open_project
from itune_core.cli.terminal import safe, stdout

if TYPE_CHECKING:
    from rich.table import Table

    from itune_core.recipe.plan import Feed, Plan, StepNode

app = typer.Typer(help="Show what a run would do, and what is already done.")


@app.command()
def command(
    recipe: RecipeFile,
    overrides: Overrides = [],  # noqa: B006  # typer copies it
    allow: Allow = [],  # noqa: B006
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Show the steps of a recipe in the order they run, what feeds each, and which are in the store already."""
    project = open_project(recipe, overrides, allow=allow, offline=True)  # looking fetches nothing
    states = project.states()
    if as_json:
        facts = plan_facts(project.plan, states, project.settled())
        typer.echo(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    stdout().print(plan_table(project.plan, states, project.settled()))


def plan_table(
    plan: Plan, states: Mapping[str, str] | None = None, settled: Mapping[str, Mapping[str, Any]] | None = None
) -> Table:
    """The plan as a table, one row a node.

    Args:
        plan: the plan.
        states: what a run would do with each node, by name; None: no such column.
        settled: what was found out of settings that the recipe leaves open, by node.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    varies = any(node.variant for node in plan.nodes.values())
    for header in ("step", "uses", "reads", "gives", *(["variant"] if varies else []), *(["state"] if states else [])):
        table.add_column(header, overflow="fold")
    for node in plan.nodes.values():
        cells = [
            node.step,
            f"{node.stage}/{node.uses}",
            _reads(node, (settled or {}).get(node.name, {})),
            spelt(node.kinds) or {"trainers": "a model"}.get(node.stage, "figures"),
        ]
        if varies:
            cells.append(", ".join(f"{axis}={value}" for axis, value in node.variant.items()))
        if states:
            cells.append(states.get(node.name, ""))
        table.add_row(*(Text(safe(cell)) for cell in cells))
    return table


def plan_facts(
    plan: Plan, states: Mapping[str, str] | None = None, settled: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """The plan as JSON values. Secrets are not among them: a config holds only where they are to be read.

    The arguments are those of :func:`plan_table`.
    """
    return {
        "recipe": plan.name,
        "file": str(plan.file),
        "models": {
            name: {
                "uses": f"backends/{model.backend}",
                "from": model.entry.owner,
                "with": model.config.model_dump(mode="json"),
            }
            for name, model in plan.models.items()
        },
        "steps": [
            _facts(node)
            | ({"settled": dict(settled.get(node.name, {}))} if settled is not None else {})
            | ({"state": states.get(node.name)} if states else {})
            for node in plan.nodes.values()
        ],
        "extensions": dict(plan.extensions),
    }


def _facts(node: StepNode) -> dict[str, Any]:
    return {
        "name": node.name,
        "step": node.step,
        "variant": dict(node.variant),
        "uses": f"{node.stage}/{node.uses}",
        "from": node.entry.owner,
        "inputs": {name: [_feed_facts(feed) for feed in feeds] for name, feeds in node.inputs.items()},
        "models": list(node.models),
        "steps": list(node.steps),
        "kind": spelt(node.kinds) or None,
        "with": node.config.model_dump(mode="json"),
        "seed": node.seed,
        "max_failed": node.max_failed,
        "line": node.line,
    }


def _feed_facts(feed: Feed) -> dict[str, Any]:
    return {"node": feed.node, "output": feed.output, "kind": spelt(feed.kinds), "cast": feed.cast}


def _reads(node: StepNode, settled: Mapping[str, Any]) -> str:
    """What a node reads, one line a source: ``train: pairs (preference as ranking)``, then the models it asks.

    Of a formatter, what was found out of its files: ``csv in cp949``.
    """
    several = len(node.inputs) > 1
    lines = []
    for name, feeds in node.inputs.items():
        for feed in feeds:
            source = feed.node if feed.output in ("records", "") else f"{feed.node}.{feed.output}"
            cast = f" ({spelt(feed.kinds)} as {feed.cast})" if feed.cast else ""
            lines.append(f"{name}: {source}{cast}" if several else f"{source}{cast}")
    if node.stage == "formatters":
        format, encoding = settled.get("reading.format"), settled.get("reading.encoding")
        kinds = ", ".join(dict.fromkeys(format)) if isinstance(format, list) else format
        lines += [" in ".join(filter(None, (kinds, encoding)))] if kinds or encoding else []
    lines += [f"model {name}" for name in node.models] + [f"step {name}" for name in node.steps]
    return "\n".join(_counted(lines))


def _counted(lines: Sequence[str]) -> Iterator[str]:
    """The lines, those of more than three variants of one step as one: ``model tuned[...], 48 variants``."""
    alike: dict[str, list[str]] = {}
    for line in lines:
        alike.setdefault(re.sub(r"\[.*?\]", "[...]", line), []).append(line)
    for line, variants in alike.items():
        yield from [f"{line}, {len(variants)} variants"] if len(variants) > 3 else variants
