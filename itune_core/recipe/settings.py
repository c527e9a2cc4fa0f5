"""A component's ``Config`` from what stands under ``with``: pydantic's verdict in plain words, at the right line."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from itune_core.api.fields import INPUT_FILE, SECRET, ComponentConfig, Marked, Marker, marked
from itune_core.api.reading.standard_input import PATH as STANDARD_INPUT
from itune_core.recipe import errors
from itune_core.recipe.errors import Problems
from itune_core.recipe.names import listed, suggestion
from itune_core.recipe.nodes import Node, dotted
from itune_core.recipe.nodes import Path as TreePath

Where = Callable[[TreePath], TreePath]

_EXPECTED: dict[str, str] = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a whole number of fewer digits",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "none_required": "nothing (null)",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "too_short": "at least {min_length} items",
    "too_long": "at most {max_length} items",
    "string_too_short": "text of at least {min_length} characters",
    "string_too_long": "text of at most {max_length} characters",
    "string_pattern_mismatch": "text that matches {pattern}",
    "literal_error": "{expected}",
    "enum": "{expected}",
}
"""pydantic's error type to what was expected, for a person; ``{...}`` is filled from the error's context."""


@dataclass(frozen=True)
class Settings:
    """A component's settings.

    Attributes:
        config: a validated Config; or, if something is wrong with it, as much of one as its edges can be read from.
        marked: its marked values.
        valid: whether nothing is wrong with it.
    """

    config: Any
    marked: tuple[Marked, ...]
    valid: bool


def read_settings(owner: type[Any], label: str, node: Node, where: Where, folder: Path, problems: Problems) -> Settings:
    """Validate what stands under ``with`` and note every mistake in it.

    Args:
        owner: the component or extension, whose ``Config`` is asked.
        label: its name for messages: ``trainers/dpo``.
        node: the mapping; where it is empty, `node` is where messages point.
        where: what path of the recipe a place in `node` has.
        folder: where relative paths start.
        problems: where mistakes are noted.
    """
    schema: type[ComponentConfig] = getattr(owner, "Config", ComponentConfig)  # an extension may have no settings
    values = node.plain() if isinstance(node.value, dict) else {}
    valid = True
    try:
        config = schema.model_validate(values)
    except ValidationError as error:
        valid = False
        details = error.errors(include_url=False)
        _note(details, schema, label, node, where, problems)
        config = _readable(schema, values, details)
    found = tuple(marked(config))
    for item in found:
        at, path = node.nearest(item.place), where(item.place)
        if item.marker is INPUT_FILE:
            _check_file(item, at, path, folder, problems)
        elif item.marker is SECRET and not str(item.value).startswith(("env:", "file:")):
            problems.add(
                errors.OPEN_SECRET,
                f"{dotted(item.place)} is secret and must not stand in a recipe",
                at,
                path,
                expected="env:NAME or file:PATH",
                fix="put it into an environment variable and name that; change the secret if this file was shared",
            )
    return Settings(config, found, valid)


def absolute(path: str, folder: Path) -> str:
    """An input path (or glob) of a recipe, independent of the working directory; standard input stays what it is."""
    if path == STANDARD_INPUT:
        return path
    return str(folder.absolute() / os.path.expanduser(path))


def rooted(config: Any, found: Iterable[Marked], folder: Path) -> Any:
    """A copy of `config` that names the same files whatever the working directory: input files, and those of secrets.

    Args:
        config: a Config, or the plain values of one.
        found: its marked values.
        folder: where relative paths start.
    """
    change: Mapping[Marker, Callable[[str, Path], str]] = {INPUT_FILE: absolute, SECRET: _absolute_secret}
    changes = {item.place: change[item.marker] for item in found if item.marker in change}
    return rewrite(config, lambda place, value: changes[place](value, folder), frozenset(changes))


def _absolute_secret(written: str, folder: Path) -> str:
    form, _, path = written.partition(":")
    return f"file:{absolute(path, folder)}" if form == "file" else written


def rewrite(config: Any, change: Callable[[TreePath, Any], Any], places: frozenset[TreePath]) -> Any:
    """A copy of `config` with the values at `places` changed.

    `change` is given a place and its value. What it returns stands there instead; a tuple for an item of a list takes
    the item's place with all its members.
    """
    return _rewrite(config, (), change, places)


def _rewrite(value: Any, at: TreePath, change: Callable[[TreePath, Any], Any], places: frozenset[TreePath]) -> Any:
    if at in places:
        return change(at, value)
    if isinstance(value, BaseModel):
        inner = {name: getattr(value, name) for name in type(value).model_fields}
        copies = {name: _rewrite(item, (*at, name), change, places) for name, item in inner.items()}
        changed = {name: copy for name, copy in copies.items() if copy is not inner[name]}
        return value.model_copy(update=changed) if changed else value
    if isinstance(value, (list, tuple)):
        items: list[Any] = []
        for index, item in enumerate(value):
            copy = _rewrite(item, (*at, index), change, places)
            items += copy if (*at, index) in places and isinstance(copy, tuple) else [copy]
        same = len(items) == len(value) and all(new is old for new, old in zip(items, value, strict=True))
        return value if same else type(value)(items)
    if isinstance(value, dict):
        return {key: _rewrite(item, (*at, key), change, places) for key, item in value.items()}
    return value


def _check_file(item: Marked, at: Node, path: TreePath, folder: Path, problems: Problems) -> None:
    if item.value == STANDARD_INPUT:
        return
    target = absolute(item.value, folder)
    if not item.value or not (os.path.lexists(target) or any(glob.iglob(target, recursive=True))):
        problems.add(
            errors.NO_FILE,
            f"no file, folder or glob {item.value!r}",
            at,
            path,
            expected=f"something at {target}",
            fix="correct the path; relative paths start at the recipe's folder",
        )


def _readable(schema: type[ComponentConfig], values: Mapping[str, Any], details: list[ErrorDetails]) -> Any:
    """A Config without its wrong settings, so that the edges in the others can still be checked."""
    wrong = {error["loc"][0] for error in details if error["loc"]}
    right = {name: value for name, value in values.items() if name in schema.model_fields and name not in wrong}
    absent = [name for name, field in schema.model_fields.items() if name in wrong or field.is_required()]
    return schema.model_construct(**{**dict.fromkeys(absent), **right})


def _note(
    details: list[ErrorDetails],
    schema: type[ComponentConfig],
    label: str,
    node: Node,
    where: Where,
    problems: Problems,
) -> None:
    groups: dict[TreePath, list[ErrorDetails]] = {}
    for error in details:
        groups.setdefault(_place(error, node), []).append(error)
    for place, members in groups.items():
        deeper = any(other[: len(place)] == place and len(other) > len(place) for other in groups)
        if deeper and all(len(error["loc"]) > len(place) for error in members):
            continue  # one branch of a union; another one got further into the value, and says more
        first = members[0]
        at, path = node.nearest(place), where(place)
        if first["type"] == "extra_forbidden":
            known = _fields_at(schema, place[:-1])
            problems.add(
                errors.UNKNOWN_SETTING,
                f"{label} has no setting {dotted(place)!r}",
                at,
                path,
                expected=listed(known, "no settings at all"),
                fix=suggestion(str(place[-1]), known, f"remove it; `itune plugins show {label}` lists the settings"),
            )
        elif first["type"] == "missing":
            problems.add(
                errors.MISSING_SETTING,
                f"{label} requires the setting {dotted(place)!r}",
                at,
                path,
                expected=_description(schema, place),
                fix=f"add `{place[-1]}: ...`",
            )
        else:
            expected = list(dict.fromkeys(map(_expected, members)))
            shown = "has a wrong value" if _is_secret(schema, place) else f"is {at.describe()}"
            subject = f"the setting {dotted(place)!r} of {label}" if place else f"the settings of {label}"
            what = f"{subject} {shown}" if place else f"{subject} do not fit together"
            choices = [choice for error in members for choice in _choices(error)]
            written = at.value if isinstance(at.value, str) else ""
            problems.add(
                errors.BAD_SETTING,
                what,
                at,
                path,
                expected=listed(expected),
                fix=suggestion(written, choices) if choices else None,
            )


def _place(error: ErrorDetails, node: Node) -> TreePath:
    """Where in the recipe an error belongs: its location without pydantic's labels for branches of a union."""
    place: list[str | int] = []
    here = node
    location = error["loc"]
    for position, part in enumerate(location):
        named = position == len(location) - 1 and error["type"] in ("missing", "extra_forbidden")
        if isinstance(part, int) and part < len(here.items):
            here = here.items[part]
        elif isinstance(part, str) and part in here.entries:
            here = here.entries[part]
        elif not named and position > 0:
            continue
        place.append(part)
    return tuple(place)


def _expected(error: ErrorDetails) -> str:
    context = {key: value for key, value in error.get("ctx", {}).items() if key != "error"}
    template = _EXPECTED.get(error["type"])
    if template is not None:
        return template.format(**context)
    message = error["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return message[:1].lower() + message[1:]


def _choices(error: ErrorDetails) -> Iterator[str]:
    """The right values, where there is a fixed list of them: pydantic gives ``'a', 'b' or 'c'``."""
    if error["type"] in ("literal_error", "enum"):
        yield from (part for part in str(error.get("ctx", {}).get("expected", "")).split("'")[1::2])


def _fields_at(schema: type[BaseModel], place: TreePath) -> list[str]:
    return list(dict.fromkeys(name for model in _models_at(schema, place) for name in model.model_fields))


def _field_at(schema: type[BaseModel], place: TreePath) -> FieldInfo | None:
    fields = (model.model_fields.get(str(place[-1])) for model in _models_at(schema, place[:-1]))
    return next(filter(None, fields), None)


def _models_at(annotation: Any, place: TreePath) -> list[type[BaseModel]]:
    """The pydantic models that may stand at `place`, through lists, mappings and unions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if not place:
            return [annotation]
        field = annotation.model_fields.get(str(place[0]))
        return [] if field is None else _models_at(field.annotation, place[1:])
    origin, arguments = get_origin(annotation), get_args(annotation)
    if isinstance(origin, type) and issubclass(origin, (Sequence, Mapping)):
        return _models_at(arguments[-1], place[1:]) if place else []
    return [model for argument in arguments for model in _models_at(argument, place)]  # a union, or Annotated


def _description(schema: type[BaseModel], place: TreePath) -> str | None:
    field = _field_at(schema, place)
    return field.description if field else None


def _is_secret(schema: type[BaseModel], place: TreePath) -> bool:
    field = _field_at(schema, place) if place else None
    return field is not None and (SECRET in field.metadata or _holds_secret(field.annotation))


def _holds_secret(annotation: Any) -> bool:
    return SECRET in getattr(annotation, "__metadata__", ()) or any(map(_holds_secret, get_args(annotation)))
