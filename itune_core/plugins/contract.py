"""What a loaded class must be: one table of requirements, walked in order.

These are the promises that the plan and the engine build on. A class that breaks one is refused when it is loaded, with
the name of its distribution, rather than failing somewhere inside a run.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from itune_core.api.components import (
    Component,
    Evaluator,
    Filter,
    Formatter,
    Generator,
    Input,
    Mixer,
    Scorer,
    Trainer,
)
from itune_core.api.errors import PluginError
from itune_core.api.fields import ComponentConfig
from itune_core.api.hookspecs import STAGES
from itune_core.api.resources import Backend, Executor
from itune_core.plugins import session
from itune_core.plugins.catalog import Entry

STAGE_BASES: Mapping[str, type[Component]] = {
    base.stage: base for base in (Formatter, Generator, Filter, Scorer, Mixer, Trainer, Evaluator, Backend, Executor)
}
"""Stage name to the class that its components derive from."""

EASY_METHODS: Mapping[str, tuple[str, ...]] = {
    "formatters": ("format",),
    "generators": ("generate",),
    "filters": ("decide",),
    "scorers": ("score",),
    "mixers": ("draw",),
    "trainers": ("train",),
    "evaluators": ("evaluate", "summarise"),
    "executors": ("map",),
}
"""What an author writes where the hook itself is not overridden. A backend defines any of :data:`ANSWERS`."""

ANSWERS = ("generate", "logprobs", "choices", "rewards", "embed", "submit")


def check_component(loaded: object, entry: Entry) -> type[Component]:
    """`loaded`, if it is a component of the entry's stage.

    Raises:
        PluginError: the first requirement that it does not meet; its code says which.
    """
    base = STAGE_BASES[entry.stage]
    if not isinstance(loaded, type) or not issubclass(loaded, base) or loaded is base:
        raise PluginError(
            "E-PLUGIN-030",
            f"{entry} is {_kind(loaded)}, not a component of that stage",
            where=entry.value,
            fix=f"derive a class from itune_core.api.{base.__name__} and publish that",
        )
    for requirement in REQUIREMENTS:
        requirement(loaded, entry)
    return loaded


def check_extension_class(loaded: object, entry: Entry) -> type[Any]:
    """`loaded`, if it is an extension: a class whose hooks are wrappers or observers; ``Config`` if it has settings.

    Raises:
        PluginError: the first requirement that it does not meet; its code says which.
    """
    if not isinstance(loaded, type):
        raise PluginError(
            "E-PLUGIN-030",
            f"{entry} is {_kind(loaded)}, not a class",
            where=entry.value,
            fix="publish a class; if it has settings, with a nested Config and def __init__(self, config)",
        )
    _docstring(loaded, entry)
    if hasattr(loaded, "Config"):
        _config(loaded, entry)
    session.check_extension(loaded)
    return loaded


def _docstring(loaded: type[Any], entry: Entry) -> None:
    if not (loaded.__doc__ or "").strip():  # not inspect.getdoc, which would answer with the base class's
        raise PluginError(
            "E-PLUGIN-031",
            f"{entry} has no docstring, and itune plugins show would have nothing to say of it",
            where=entry.value,
            fix="say in one sentence what it does, and name its source",
        )


def _config(loaded: type[Any], entry: Entry) -> None:
    config = getattr(loaded, "Config", None)
    if not isinstance(config, type) or not issubclass(config, ComponentConfig):
        raise PluginError(
            "E-PLUGIN-032",
            f"{entry} has no Config that derives from ComponentConfig",
            where=entry.value,
            fix="nest it: class Config(ComponentConfig): ...; that of a base class will do if there are no settings",
        )
    if config.model_config.get("extra") != "forbid" or not config.model_config.get("frozen"):
        raise PluginError(
            "E-PLUGIN-032",
            f"the Config of {entry} takes unknown keys, or can be changed",
            where=entry.value,
            why="a misspelt setting would be ignored, and the artifact key would not hold",
            fix="leave extra and frozen of model_config as ComponentConfig sets them",
        )
    renamed = [name for name, field in config.model_fields.items() if field.alias or field.validation_alias]
    if renamed:
        raise PluginError(
            "E-PLUGIN-032",
            f"settings of {entry} have two names: {', '.join(renamed)}",
            where=entry.value,
            why="messages, pages and artifact keys call a setting by the name of its field, and a recipe would not",
            fix="call the field what a recipe writes, and leave out alias and validation_alias",
        )
    bare = [name for name, field in config.model_fields.items() if not (field.description or "").strip()]
    if bare:
        raise PluginError(
            "E-PLUGIN-033",
            f"settings of {entry} have no description: {', '.join(bare)}",
            where=entry.value,
            fix=f'{bare[0]}: ... = Field(..., description="...")',
        )


def _inputs_and_outputs(loaded: type[Component], entry: Entry) -> None:
    inputs, outputs = loaded.inputs, loaded.outputs
    good_inputs = isinstance(inputs, Mapping) and all(isinstance(value, Input) for value in inputs.values())
    good_outputs = not isinstance(outputs, str) and all(isinstance(name, str) for name in outputs)
    draws = not issubclass(loaded, Mixer) or (good_inputs and any(one.many for one in inputs.values()))
    if not good_inputs or not good_outputs or (entry.stage in STAGES and not outputs) or not draws:
        raise PluginError(
            "E-PLUGIN-034",
            f"inputs or outputs of {entry} are not well formed",
            where=entry.value,
            why=f"inputs is {inputs!r}, outputs is {outputs!r}"
            + ("" if draws else "; a mixer draws from inputs that are many, and needs one"),
            fix='write inputs = {"records": Input((Kind.CONVERSATION,))} and outputs = ("records",)',
        )


def _hook(loaded: type[Component], entry: Entry) -> None:
    if entry.stage in STAGES:
        session.check_component(entry.stage, loaded)
    else:
        session.implementations(loaded)


def _methods(loaded: type[Component], entry: Entry) -> None:
    for name in EASY_METHODS.get(entry.stage, ANSWERS):
        method = getattr(loaded, name, None)
        if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method):
            raise PluginError(
                "E-PLUGIN-037",
                f"{name} of {entry} is async, and nothing would await it",
                where=entry.value,
                fix="make it a plain method; to ask a model, yield requests (itune_core.api.asking)",
            )
    missing = list(_missing(loaded, entry.stage))
    if missing:
        raise PluginError(
            "E-PLUGIN-036",
            f"{entry} does not define {' and '.join(missing)}",
            where=entry.value,
            fix=f"define it; see itune_core.api.{STAGE_BASES[entry.stage].__name__}",
        )


REQUIREMENTS = (_docstring, _config, _inputs_and_outputs, _hook, _methods)
"""What a component must fulfil, in the order it is told."""


def _missing(loaded: type[Component], stage: str) -> Iterator[str]:
    """The methods that the stage needs and only the base class has."""
    base = STAGE_BASES[stage]

    def inherited(name: str) -> bool:
        return inspect.getattr_static(loaded, name) is inspect.getattr_static(base, name)

    if stage == "backends":
        if all(map(inherited, ANSWERS)):
            yield f"any of {', '.join(ANSWERS)}"
    elif stage not in STAGES or inherited(STAGES[stage][1]):
        yield from filter(inherited, EASY_METHODS[stage])


def _kind(loaded: object) -> str:
    return f"the class {loaded.__qualname__}" if isinstance(loaded, type) else f"of type {type(loaded).__name__}"
