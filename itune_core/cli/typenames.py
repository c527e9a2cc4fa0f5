"""A config's fields, and the type of each in words, for people: ``model``, ``float ≥ 0``, ``"before" or "after"``."""

from __future__ import annotations

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from itune_core.api.fields import ComponentConfig, Marker

_BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "multiple_of": "multiple of"}


def settings_of(config: type[ComponentConfig], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every setting by its path; those of a nested group after the group."""
    for name, field in config.model_fields.items():
        yield f"{prefix}{name}", field
        for inner in (field.annotation, *get_args(field.annotation)):
            if isinstance(inner, type) and issubclass(inner, ComponentConfig):
                yield from settings_of(inner, f"{prefix}{name}.")


def field_type(field: FieldInfo) -> str:
    """What may be written for `field`, its bounds included."""
    return _with(_name(field.annotation), field.metadata)


def _with(name: str, metadata: Any) -> str:
    """`name` as its annotations change it: a marker stands in its place, a bound behind it."""
    bounds = []
    for item in metadata:
        if isinstance(item, Marker):
            name = name if item.name == "runtime" else item.name
        else:
            bounds += [f"{sign} {getattr(item, word)}" for word, sign in _BOUNDS.items() if hasattr(item, word)]
    return " ".join([name, *bounds])


def _name(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _with(_name(arguments[0]), arguments[1:])
    if origin in (Union, UnionType):
        return " or ".join(_name(argument) for argument in arguments)
    if origin is Literal:
        return " or ".join(f'"{argument}"' if isinstance(argument, str) else str(argument) for argument in arguments)
    if origin in (list, tuple, set, frozenset) and arguments:
        return f"list of {_name(arguments[0])}"
    if origin is dict:
        return f"mapping of {_name(arguments[0])} to {_name(arguments[1])}"
    if annotation is NoneType:
        return "none"
    if annotation is str:
        return "text"
    if isinstance(annotation, type) and issubclass(annotation, ComponentConfig):
        return "group"
    return str(getattr(annotation, "__name__", annotation))
