"""A component in a recipe that is as short as can be: its required inputs, and few settings.

The settings are those whose field has ``examples`` (the first is taken), and those that are required, whose values
otherwise come from their types: a file of rows, a model. A recipe that does not compile is an error, so that what the
pages show is true.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic.fields import FieldInfo

from itune_core.api import ComponentConfig, Kind
from itune_core.api.fields import INPUT_FILE, MODEL_REF, SECRET, STEP_REF
from itune_core.plugins.catalog import Entry
from itune_core.recipe.kinds import CASTS
from itune_core.recipe.plan import compile

ROWS = {
    Kind.CONVERSATION: ("formatters/messages", "conversations.jsonl"),
    Kind.PROMPT: ("formatters/prompts", "prompts.jsonl"),
    Kind.PREFERENCE: ("formatters/pairs", "preferences.jsonl"),
    Kind.TEXT: ("formatters/text", "text.jsonl"),
}
"""Kind of record to a formatter that makes it, and a name for its file."""

MODEL = {"backend": "transformers", "model": "embedded:smollm2-135m"}


def smallest_recipe(entry: Entry, component: type[Any]) -> str:
    """The YAML of a recipe with `component`; it has been compiled.

    Raises:
        RecipeProblems: it does not compile.
        SystemExit: a required setting has no example.
    """
    recipe: dict[str, Any] = {"itune": 1, "name": entry.name}
    settings = _settings(entry, getattr(component, "Config", None))
    needs_model = "base" in _flat(settings.values())
    steps: dict[str, Any] = {}
    if entry.stage == "backends":
        recipe["models"] = {"base": {"backend": entry.name, **settings}}
        steps["loss"] = _step("evaluators/inference-loss", "rows", {"models": ["base"]})
        steps = {"rows": _rows(Kind.CONVERSATION), **steps}
    elif entry.stage == "extensions":
        recipe["extensions"] = {entry.name: settings}
        steps["rows"] = _rows(Kind.CONVERSATION)
    else:
        sources, steps = _sources(component)
        columns = component(component.Config(**settings)).reads() if entry.stage != "formatters" else ()
        if columns:  # a scorer gives them, named as the step that the column names
            scorer = columns[0].split(".")[1]
            sources, steps = scorer, {"rows": steps["rows"], scorer: _step(f"scorers/{scorer}", "rows", {})}
        steps[_name(entry)] = _step(entry.label, sources, settings)
        if needs_model:
            recipe["models"] = {"base": MODEL}
    text = "".join(_lines({**recipe, "steps": steps}))
    _compiles(text)
    return text


def _sources(component: type[Any]) -> tuple[Any, dict[str, Any]]:
    """What feeds the required inputs, as ``from`` says it, and the steps that make it."""
    steps: dict[str, Any] = {}
    fed: dict[str, Any] = {}
    for name in component.needed_inputs():
        taken = component.inputs[name]
        fitting = [kind for kind in ROWS if kind in taken.kinds]
        kind = (fitting or [kind for kind in ROWS if set(CASTS.get(kind, ())) & set(taken.kinds)])[0]
        names = ["rows", "more"]
        if "rows" in steps and steps["rows"] != _rows(kind):  # another kind has these names
            names = [str(kind), f"more_{kind}"]
        made = names[: 2 if taken.many else 1]
        steps |= {step: _rows(kind, step) for step in made}
        fed[name] = made if taken.many else made[0]
    return (fed[first] if (first := next(iter(component.inputs), None)) in fed and len(fed) == 1 else fed), steps


def _rows(kind: Kind, step: str = "rows") -> dict[str, Any]:
    uses, file = ROWS[kind]
    return _step(uses, None, {"path": f"data/{file if step == 'rows' else f'{step}.jsonl'}"})


def _step(uses: str, source: Any, settings: dict[str, Any]) -> dict[str, Any]:
    return {"uses": uses, **({"from": source} if source else {}), **({"with": settings} if settings else {})}


def _name(entry: Entry) -> str:
    """A step's name that says what the component does, as far as the recipe's names allow."""
    return entry.name.replace("-", "_")


def _settings(entry: Entry, config: type[ComponentConfig] | None) -> dict[str, Any]:
    """A value for each setting that is required or has an example."""
    fields = config.model_fields if config else {}
    wanted = {name: field for name, field in fields.items() if field.examples or field.is_required()}
    return {name: _value(entry, name, field) for name, field in wanted.items()}


def _value(entry: Entry, name: str, field: FieldInfo) -> Any:
    if field.examples:
        return field.examples[0]
    markers = {INPUT_FILE: "data/rows.jsonl", MODEL_REF: "base", STEP_REF: "rows", SECRET: "env:API_KEY"}
    for marker, value in markers.items():
        if marker in field.metadata or any(marker in getattr(part, "__metadata__", ()) for part in _parts(field)):
            return [value] if get_origin(field.annotation) is list else value
    if entry.stage == "backends" and name == "model":
        return MODEL["model"]
    raise SystemExit(
        f"{entry.label}: setting {name} is required and its field has no example: Field(..., examples=[...])"
    )


def _parts(field: FieldInfo) -> Iterator[Any]:
    """The types that a field's type is made of."""
    waiting = [field.annotation]
    while waiting:
        part = waiting.pop()
        yield part
        waiting += get_args(part)


def _flat(values: Any) -> list[Any]:
    return [item for value in values for item in (value if isinstance(value, list) else [value])]


def _lines(recipe: dict[str, Any]) -> Iterator[str]:
    """A line a key, a line a step."""
    for key, value in recipe.items():
        if isinstance(value, dict):
            yield f"{key}:\n"
            for name, inner in value.items():
                yield f"  {name}: {_flow(inner)}\n"
        else:
            yield f"{key}: {value}\n"


def _flow(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=1000, allow_unicode=True).strip()


def _compiles(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "recipe.yaml"
        file.write_text(text, "utf-8")
        (file.parent / "data").mkdir()
        for name in re.findall(r"\bdata/[\w.-]+", text):
            (file.parent / name).write_text("{}\n", "utf-8")
        compile(file)
