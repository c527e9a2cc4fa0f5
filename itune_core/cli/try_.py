"""``itune try``: one component on a file of rows, without a recipe and without a store."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from itune_core.api.errors import DataError, RecipeError, RowError
from itune_core.cli.bench import bench_context, configure, setting, settled
from itune_core.cli.opening import Allow, prepare
from itune_core.cli.terminal import safe
from itune_core.recipe.settings import absolute

if TYPE_CHECKING:
    import datasets


app = typer.Typer(help="Run one component on a file of rows, without a recipe.")


@app.command()
def try_(
    label: Annotated[str, typer.Argument(metavar="STAGE/NAME", help="The component.")],
    rows: Annotated[
        str | None,
        typer.Option(
            "--rows",
            metavar="PATH",
            help="Raw rows for a formatter, records for the others: a file, folder, glob, or - for standard input.",
        ),
    ] = None,
    settings: Annotated[
        list[str], typer.Option("--with", metavar="KEY=VALUE", help="A setting; the value is YAML. Repeatable.")
    ] = [],  # noqa: B006
    limit: Annotated[int, typer.Option(min=1, help="Use only the first so many rows.")] = 20,
    seed: Annotated[int, typer.Option(help="The step's seed.")] = 0,
    allow: Allow = [],  # noqa: B006
) -> None:
    """Run one component and print what it says of each row, a JSON line each.

    A setting that names a model takes what a recipe would write under `model:`, such as embedded:smollm2-135m; it is
    asked through the backend `transformers`. Records are objects with the columns of one kind: `messages`, or `prompt`,
    or `prompt`, `chosen` and `rejected`, ... Trainers are not tried: write a recipe with a `limit`.
    """
    prepare()

    from itune_core.plugins import catalog, loader
    from itune_core.plugins.policy import Policy
    from itune_core.plugins.session import Session

    stage, _, name = label.partition("/")
    policy = Policy.of(allow)
    cls = loader.load(catalog.find(stage, name), policy)
    if stage not in ("formatters", "generators", "filters", "scorers", "mixers", "evaluators"):
        raise RecipeError("E-TRY-001", f"{label} cannot be tried", fix="use it in a recipe with a small input")
    values = dict(setting(text) for text in settings)
    if stage == "formatters":
        if not {"path", "hub"} & values.keys():
            values["path"] = absolute(_given(rows, label), Path.cwd())
        values = {"limit": limit, **values}
    component = configure(cls, label, values)
    with tempfile.TemporaryDirectory(prefix="itune-try-") as folder:
        if stage == "formatters":
            component = settled(component, Path(folder))
        context = bench_context(label, seed, Path(folder), policy)
        call: dict[str, Any] = {"context": context}
        ids: list[str] = []
        if stage != "formatters":
            data = _records(_given(rows, label), limit)
            ids = list(data["id"])
            call["inputs"] = {name: [data] if cls.inputs[name].many else data for name in cls.needed_inputs()}
        for line in _lines(stage, Session(stage, component).call(**call), ids):
            typer.echo(safe(json.dumps(line, ensure_ascii=False, default=str)))


def _given(rows: str | None, label: str) -> str:
    if rows is None:
        raise RecipeError("E-TRY-005", f"{label} is tried on rows", fix="add --rows FILE, or --rows - and pipe them in")
    return rows


def _records(path: str, limit: int) -> datasets.Dataset:
    """The file's rows as records of the kind whose columns they have; of standard input, JSON lines."""
    import datasets

    from itune_core import api
    from itune_core.api.reading import BadRow, Reading, read_rows

    builders: dict[str, tuple[api.Kind, Any]] = {
        "messages": (api.Kind.CONVERSATION, api.conversation),
        "chosen": (api.Kind.PREFERENCE, api.preference),
        "candidates": (api.Kind.RANKING, api.ranking),
        "completion": (api.Kind.FEEDBACK, api.feedback),
        "prompt": (api.Kind.PROMPT, api.prompt),
        "text": (api.Kind.TEXT, api.text),
    }
    made, kind = [], None
    reading = Reading(format="jsonl") if path == "-" else Reading()
    for number, row in enumerate(read_rows([path], reading)):
        if number == limit:
            break
        if isinstance(row, BadRow):
            raise row.error
        column = next((name for name in builders if name in row), None)
        if column is None:
            raise DataError("E-TRY-004", "this row is no record", where=row.where, fix=f"give it {', '.join(builders)}")
        found, build = builders[column]
        kind = kind or found
        if found != kind:
            raise DataError("E-TRY-004", f"this row is a {found}, those before are {kind}", where=row.where)
        values = {name: value for name, value in row.items() if name not in ("id", "kind")}
        try:
            record = build(**values)
        except (RowError, TypeError) as error:
            raise DataError("E-TRY-004", f"this row is no {found}: {error}", where=row.where) from error
        made.append({**record, "id": str(row.get("id", number))})
    if kind is None:
        raise DataError("E-TRY-004", "there is no row", where=path)
    return datasets.Dataset.from_list(made, features=api.features(kind))


def _lines(stage: str, result: Any, ids: list[str]) -> Iterator[Mapping[str, Any]]:
    """What a stage's result says of each row."""
    from dataclasses import asdict, is_dataclass

    def plain(value: Any) -> Any:
        from itune_core.api.outcomes import Created
        from itune_core.api.records import Record

        if isinstance(value, Created):
            return {"created": {k: v for k, v in value.record.items() if v not in (None, [])}}
        if isinstance(value, Record):
            return {"record": {k: v for k, v in value.items() if v not in (None, [])}}
        return {type(value).__name__.lower(): asdict(value)} if is_dataclass(value) else {"values": value}  # type: ignore[arg-type]

    if stage == "evaluators":
        yield from ({"row": row} for row in result.table)
        yield {"metrics": result.metrics}
    elif stage == "mixers":
        yield from (draw._asdict() for draw in result.draws)
    elif stage in ("formatters", "generators"):
        yield from ({"item": item, **plain(outcome)} for item, outcome in result)
    else:
        yield from ({"item": item, **plain(outcome)} for item, outcome in zip(ids, result, strict=True))
