"""Types for config fields. What a field means to the engine is its type, never its name.

========================  =====================================================  ===========================
type                      meaning                                                in the artifact key
========================  =====================================================  ===========================
:data:`InputFile`         a path, glob or folder to read                         the files' content
:data:`ModelRef`          a name under ``models:`` or a training step            the model's identity
:data:`StepRef`           a step whose artifact is read                          that artifact's digest
:data:`Function`          ``package.module:function`` of an installed      its distribution's code
                          distribution that the project allows
:data:`Secret`            ``env:NAME`` or ``file:PATH``; read when used          nothing
:data:`ScoreColumn`       ``score.STEP`` or ``score.STEP.PART``                  its name
``Runtime[T]``            how the work is done, not what comes out               nothing
anything else             a setting                                              its value
========================  =====================================================  ===========================

``ModelRef`` and ``StepRef`` values are edges of the recipe's graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, StringConstraints


class Marker:
    """What a field type tells the engine; found in the annotation's metadata."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<{self.name}>"


INPUT_FILE, MODEL_REF, STEP_REF, FUNCTION, SECRET, RUNTIME = map(
    Marker, ("input file", "model reference", "step reference", "function", "secret", "runtime")
)

InputFile = Annotated[str, INPUT_FILE]
ModelRef = Annotated[str, MODEL_REF]
StepRef = Annotated[str, STEP_REF]
Function = Annotated[str, FUNCTION]
Secret = Annotated[str, SECRET]

ScoreColumn = Annotated[str, StringConstraints(pattern=r"^score\.[a-z][a-z0-9_]*(\.[a-z0-9_]+)?$")]
"""How a scorer's column is named. A component that is set to read one returns it from :meth:`Component.reads`, too."""

T = TypeVar("T")
Runtime = Annotated[T, RUNTIME]


class ComponentConfig(BaseModel):
    """Base of every component's nested ``Config``: frozen, unknown keys refused, docs on every field."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)


@dataclass(frozen=True)
class Marked:
    """One marked value of a config.

    Attributes:
        path: where it stands, e.g. ``judges[0].model``.
        marker: which of the markers above.
        value: the value itself.
        many: whether it stands in a list or mapping.
        place: the same as `path`, key by key: ``("judges", 0, "model")``.
    """

    path: str
    marker: Marker
    value: Any
    many: bool
    place: tuple[str | int, ...]


def marked(config: BaseModel) -> Iterator[Marked]:
    """Every marked value in `config`, walking nested models, lists, mappings and unions.

    None is skipped, but not where a setting is of how the work is done: unset, it is no more part of the result than
    set.
    """
    for name, info in type(config).model_fields.items():
        annotation: Any = info.annotation
        for marker in info.metadata:
            if isinstance(marker, Marker):
                annotation = Annotated[annotation, marker]
        yield from _walk((name,), annotation, getattr(config, name), False)


def _walk(place: tuple[str | int, ...], annotation: Any, value: Any, many: bool) -> Iterator[Marked]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        found = [item for item in annotation.__metadata__ if isinstance(item, Marker)]
        if found:
            if isinstance(value, str) or found[0] is RUNTIME:
                yield Marked(_written(place), found[0], value, many, place)
        else:
            yield from _walk(place, arguments[0], value, many)
    elif origin in (Union, UnionType):
        for argument in arguments:
            yield from _walk(place, argument, value, many)
    elif isinstance(value, BaseModel):
        if annotation is type(value):
            for inner in marked(value):
                whole = (*place, *inner.place)
                yield Marked(_written(whole), inner.marker, inner.value, many or inner.many, whole)
    elif isinstance(value, (list, tuple)):
        if origin in (list, tuple, Sequence):
            types = arguments if origin is tuple and Ellipsis not in arguments else arguments[:1] * len(value)
            for number, (inside, item) in enumerate(zip(types, value, strict=True)):
                yield from _walk((*place, number), inside, item, True)
    elif isinstance(value, dict) and origin in (dict, Mapping):
        for key, item in value.items():
            yield from _walk((*place, key), arguments[1], item, True)


def _written(place: tuple[str | int, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")
