"""``itune plugins``: what is installed, and what each component takes and gives."""

from __future__ import annotations

import inspect
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from itune_core.api.errors import PluginError
from itune_core.api.records import Kind
from itune_core.cli.opening import Allow
from itune_core.cli.plugins_new import new
from itune_core.cli.terminal import safe, stdout
from itune_core.plugins import catalog
from itune_core.plugins.catalog import Entry

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from itune_core.api.fields import ComponentConfig

app = typer.Typer(help="List and describe what is installed; begin a plugin of your own.", no_args_is_help=True)
app.command("new")(new)


NOT_ALLOWED = "E-PLUGIN-010"
"""No fault of a plugin: it waits for leave."""


def _labels(incomplete: str) -> Iterator[str]:
    """Completion of STAGE/NAME; reads stevedore's cache and imports no plugin."""
    for stage in catalog.GROUPS:
        if incomplete.startswith(f"{stage}/"[: len(incomplete)]):
            yield from (f"{stage}/{name}" for name in catalog.names(stage))


Label = Annotated[str, typer.Argument(metavar="STAGE/NAME", autocompletion=_labels)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


# The stages are read from the left-over arguments: typer checks declared ones with pydantic, even where none is given,
# and importing that would take longer than the list itself.
@app.command("list", options_metavar="[OPTIONS] [STAGE]...", context_settings={"allow_extra_args": True})
def list_plugins(
    context: typer.Context,
    verify: Annotated[bool, typer.Option("--verify", help="Load each one, and say what is wrong with it.")] = False,
    allow: Allow = [],  # noqa: B006  # typer copies it
    as_json: Json = False,
) -> None:
    """List what is installed, in all stages or in those named. Imports none of it unless --verify is given.

    Allowed are the first-party distributions and those of --allow; a recipe may allow others. With --verify the exit
    code is 1 if anything that is allowed is broken; what is not allowed is not imported.
    """
    stages = context.args or catalog.GROUPS
    found = [entry for stage in stages for entry in catalog.entries(stage)]
    claims = Counter(entry.label for entry in found)
    problems = [_problem(entry, claims[entry.label], verify, allow) for entry in found]
    if as_json:
        typer.echo(json.dumps([_row(*pair) for pair in zip(found, problems, strict=True)], indent=2))
    else:
        _print_table(found, problems, verify)
    if verify and any(problem and problem.code != NOT_ALLOWED for problem in problems):
        raise typer.Exit(1)


@app.command()
def show(label: Label, allow: Allow = [], as_json: Json = False) -> None:  # noqa: B006
    """Describe one component: what it does, what it takes and gives, its settings. Imports it."""
    entry, loaded = _load(label, allow)
    if as_json:
        facts = _facts(entry, loaded) | {"schema": _config(loaded).model_json_schema()}
        typer.echo(json.dumps(facts, indent=2))
    else:
        _print_description(entry, loaded)


@app.command()
def schema(label: Label, allow: Allow = []) -> None:  # noqa: B006
    """Print the JSON schema of a component's settings. Imports it."""
    _, loaded = _load(label, allow)
    typer.echo(json.dumps(_config(loaded).model_json_schema(), indent=2))


def _problem(entry: Entry, claims: int, verify: bool, allow: Sequence[str]) -> PluginError | None:
    """Why `entry` cannot be used, as far as that can be told without (or with) importing it."""
    from itune_core.plugins.policy import Policy, check

    try:
        if claims > 1:
            catalog.find(entry.stage, entry.name)
        check(entry, Policy.of(allow))
        if verify:
            _load(entry.label, allow)
    except PluginError as error:
        return error
    return None


def _load(label: str, allow: Sequence[str]) -> tuple[Entry, type[Any]]:
    from itune_core.plugins.loader import load
    from itune_core.plugins.policy import Policy

    entry = catalog.find(*catalog.parse(label))
    return entry, load(entry, Policy.of(allow))


def _config(loaded: type[Any]) -> type[ComponentConfig]:
    from itune_core.api.fields import ComponentConfig

    config: type[ComponentConfig] = getattr(loaded, "Config", ComponentConfig)  # an extension may have no settings
    return config


def _row(entry: Entry, problem: PluginError | None) -> dict[str, Any]:
    return {
        "stage": entry.stage,
        "name": entry.name,
        "distribution": entry.distribution,
        "version": entry.version,
        "value": entry.value,
        "location": entry.location,
        "problem": problem and {"code": problem.code, "what": problem.what, "why": problem.why, "fix": problem.fix},
    }


def _print_table(found: list[Entry], problems: list[PluginError | None], verify: bool) -> None:
    """Columns by hand: they read well through a pipe, and importing rich would take longer than the list itself."""
    rows = [("STAGE", "NAME", "DISTRIBUTION", "VERSION", "WORKS" if verify else "ALLOWED")]
    for entry, problem in zip(found, problems, strict=True):
        verdict = f"no: {problem.code}" if problem else "yes"
        rows.append((entry.stage, entry.name, entry.distribution, entry.version, verdict))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (safe(cell).ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())
    for problem in filter(None, problems):
        typer.echo(f"\n{safe(str(problem))}")


def _facts(entry: Entry, loaded: type[Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "component": entry.label,
        "distribution": entry.owner,
        "documentation": inspect.cleandoc(loaded.__doc__ or ""),
    }
    if entry.stage == "extensions":
        from itune_core.plugins.session import check_extension

        return facts | {"hooks": [found.hook for found in check_extension(loaded)]}
    if entry.stage == "scorers":
        facts["columns"] = [f"score.<step>{'.' if part else ''}{part}" for part in loaded.columns]
    return facts | {
        "inputs": {
            name: {"kinds": [kind.value for kind in take.kinds], "many": take.many, "required": take.required}
            for name, take in loaded.inputs.items()
        },
        "outputs": list(loaded.outputs),
        "produces": loaded.produces.value if loaded.produces else None,
    }


def _print_description(entry: Entry, loaded: type[Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    from itune_core.cli.typenames import field_type, settings_of

    facts = _facts(entry, loaded)
    console = stdout()
    console.print(Text.assemble((entry.label, "bold"), f"  {safe(entry.owner)}\n"))
    console.print(Text(safe(facts["documentation"]) + "\n"), soft_wrap=True)
    for line in _lines(facts):
        console.print(Text(safe(line)), soft_wrap=True)
    table = Table("setting", "type", "default", "what it does", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, field in settings_of(_config(loaded)):
        cells = (name, field_type(field), _default(field), field.description or "")
        table.add_row(*(Text(safe(cell)) for cell in cells))
    console.print()
    console.print(table if table.row_count else Text("no settings"))


def _lines(facts: dict[str, Any]) -> Iterator[str]:
    """What a component takes and gives, a line each."""
    for name, take in facts.get("inputs", {}).items():
        kinds = "any kind" if len(take["kinds"]) == len(Kind) else " or ".join(take["kinds"])
        notes = [note for note, holds in (("several", take["many"]), ("optional", not take["required"])) if holds]
        yield f"input {name}: {kinds}" + (f" ({', '.join(notes)})" if notes else "")
    for word in ("outputs", "produces", "columns", "hooks"):
        value = facts.get(word)
        if value:
            yield f"{word}: {value if isinstance(value, str) else ', '.join(value)}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default_factory_takes_validated_data:
        return "computed"
    from itune_core.api.fields import ComponentConfig

    value = field.get_default(call_default_factory=True)
    return "as below" if isinstance(value, ComponentConfig) else json.dumps(value, default=str, ensure_ascii=False)
