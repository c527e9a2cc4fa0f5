"""A component in a recipe that is as short as can be: its required inputs, and few settings.

The settings are those whose field has ``examples`` (the first is taken), and those that are required, whose values
otherwise come from their types: a file of rows, a model. A recipe that does not compile is an error, so that what the
pages show is true.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic.fields import FieldInfo

from itune_core.api import ComponentConfig, Kind
from itune_core.api.fields import INPUT_FILE, MODEL_REF, SECRET, STEP_REF, marked
from itune_core.plugins import catalog
from itune_core.plugins.catalog import Entry
from itune_core.plugins.loader import load
from itune_core.plugins.policy import Policy
from itune_core.recipe.kinds import CASTS
from itune_core.recipe.plan import compile

ROWS = {
    Kind.CONVERSATION: ("formatters/messages", "conversations.jsonl"),
    Kind.PROMPT: ("formatters/prompts", "prompts.jsonl"),
    Kind.PREFERENCE: ("formatters/pairs", "preferences.jsonl"),
    Kind.TEXT: ("formatters/text", "text.jsonl"),
}
"""Kind of record to a formatter that makes it, and a name for its file."""

MODELS = {
    "base": {"backend": "transformers", "model": "embedded:smollm2-135m"},
    "minilm": {"backend": "transformers", "model": "embedded:minilm"},
}
"""What a setting for a model names by default, and what one for an embedding model names in its example."""


def smallest_recipe(entry: Entry, component: type[Any]) -> str:
    """The YAML of a recipe with `component`; it has been compiled.

    Raises:
        RecipeProblems: it does not compile.
        SystemExit: a required setting has no example.
    """
    recipe: dict[str, Any] = {"itune": 1, "name": entry.name}
    models: dict[str, Any] = {}
    steps: dict[str, Any] = {}
    settings = _settings(entry, getattr(component, "Config", None))
    if entry.stage == "backends":
        models["base"] = {"backend": entry.name, **settings}
        steps["rows"] = _rows(Kind.CONVERSATION)
        steps["loss"] = _step("evaluators/inference-loss", "rows", {"models": ["base"]})
    elif entry.stage == "extensions":
        recipe["extensions"] = {entry.name: settings}
        steps["rows"] = _rows(Kind.CONVERSATION)
    else:
        _use(entry, component, _name(entry), steps, models)
    if models:
        recipe["models"] = models
    text = "".join(_lines({**recipe, "steps": steps}))
    _compiles(text)
    return text


def _use(entry: Entry, component: type[Any], name: str, steps: dict[str, Any], models: dict[str, Any]) -> None:
    """Add a step with `component`, after all that it needs: rows, scorers of the columns that it reads, models, and a
    step that leaves the rule that a setting names."""
    settings = _settings(entry, component.Config)
    fed = _fed(component, steps)
    made = component(component.Config(**settings))
    for item in marked(made.config):
        if item.marker is MODEL_REF and item.value not in steps:
            models[item.value] = MODELS.get(item.value, MODELS["base"])
        elif item.marker is STEP_REF and item.value not in steps:
            fitting = catalog.find("evaluators", "rule-fit")
            _use(fitting, load(fitting, Policy()), item.value, steps, models)
    scored = [column.split(".")[1] for column in made.reads()] if entry.stage != "formatters" else []
    for before, step in pairwise(["rows", *dict.fromkeys(scored)]):
        if step not in steps:
            scorer = catalog.find("scorers", step.replace("_", "-"))
            _use(scorer, load(scorer, Policy()), step, steps, models)
            steps[step]["from"] = before
    if scored:
        fed = {
            key: ([scored[-1]] if isinstance(value, list) else scored[-1]) if component.inputs[key].scored else value
            for key, value in fed.items()
        }
    first = next(iter(component.inputs), None)
    steps[name] = _step(entry.label, fed[first] if first in fed and len(fed) == 1 else fed, settings)


def _fed(component: type[Any], steps: dict[str, Any]) -> dict[str, Any]:
    """What feeds each required input; the steps that make it are added."""
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
    return fed


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
        return MODELS["base"]["model"]
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
