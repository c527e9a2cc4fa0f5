"""Read the JSON object in what a model wrote, and nothing that it did not write."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from itune_generators.asking.complaints import errors_of

Found = TypeVar("Found", bound=BaseModel)

_FENCED = re.compile(r"```[a-zA-Z]*\s*\n(?P<inside>.*?)\n\s*```", re.DOTALL)

_ENDED = re.compile(r"""(?<!\\)["'”’][\s,\]}]*$""")
"""At the end of an object whose last value is a string."""


class UnreadableError(ValueError):
    """Why a text is not what was asked for."""


def read(text: str, model: type[Found], *, whole: bool = True) -> Found:
    """The object that a model wrote, checked strictly (``"4"`` is no number).

    Around it may stand words and a fence of three backticks. Of several objects just one may be what was asked for, and
    after it no other may begin that cannot be read. An object whose quotes, commas or colons are wrong is mended by
    json-repair; the result counts only if every letter, digit, sign and bracket of it was written, in that order, and
    none was left out: a bracket or value that is missing, a comment, two values for one are not mended.

    Args:
        text: what it wrote, without a thought before it.
        model: of the object.
        whole: whether the text came to its end. Of one that was cut only an object that ended before the cut is read,
            and nothing is mended.

    Raises:
        UnreadableError: there is no such object, or more than one.
    """
    body = text.strip()
    fenced = [found["inside"] for found in _FENCED.finditer(body)]
    places = [body, *fenced] if len(fenced) == 1 else [body]
    complaint = "there is no JSON object in it"
    objects: list[Any] = []
    for place in places:
        objects, broken, rest = _objects(place)
        if broken and not whole:
            raise UnreadableError("it was cut before the end of its JSON object")
        if objects and _has_field(rest, model):
            raise UnreadableError(f"after one object another begins: {broken}")
        complaint = broken or complaint
        if objects:
            break
    if not objects and whole:
        objects = [mended for place in reversed(places) for mended in _mended(place)][:1]
    readings = []
    for value in objects:
        try:
            reading = model.model_validate_json(json.dumps(value, allow_nan=False), strict=True)
        except ValidationError as error:
            complaint = errors_of(error)
        except ValueError:  # a number beyond all floats
            complaint = "a number is not finite"
        else:
            if reading not in readings:
                readings.append(reading)
    if len(readings) > 1:
        raise UnreadableError(f"it holds {len(readings)} different answers where one is asked for")
    if not readings:
        raise UnreadableError(complaint)
    return readings[0]


def _objects(text: str) -> tuple[list[dict[str, Any]], str | None, str]:
    """The JSON objects in `text` from the left, up to the first that cannot be read; why that one cannot, and the text
    from there on."""
    decoder = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_refused, strict=False)
    objects: list[dict[str, Any]] = []
    start = text.find("{")
    while start >= 0:
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError) as error:
            told = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            return objects, f"its JSON cannot be read: {told}", text[start:]
        objects.append(value)
        start = text.find("{", end)
    return objects, None, ""


def _has_field(text: str, model: type[BaseModel]) -> bool:
    """Whether `text` gives a field of `model` a value, however it is quoted: it does not where braces are prose."""
    names = "|".join(map(re.escape, model.model_fields))
    return re.search(rf"\b(?:{names})\b[\"'“”‘’]?\s*:", text) is not None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key is there twice")
    return values


def _refused(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _mended(text: str) -> Iterator[dict[str, Any]]:
    """The object between the first brace and the last, with its punctuation put right, if that is all it needs."""
    from json_repair import repair_json

    span = text[text.find("{") : text.rfind("}") + 1] if "{" in text else ""
    if not span:
        return
    try:
        value = repair_json(span, return_objects=True, skip_json_loads=True, strict=True)
    except (ValueError, RecursionError):
        return
    # Punctuation in a key is that of a value that was taken for a part of it.
    run_together = any(re.search(r'[",:\n]', key) for key in _keys(value))
    # A brace within a string that was cut would end the object, and the string with it.
    cut = isinstance(_last(value), str) and not _ENDED.search(span)
    essence = _essence(_unescaped(span))
    if isinstance(value, dict) and not run_together and not cut and essence == _essence("".join(_said(value))):
        yield value


def _said(value: Any) -> Iterator[str]:
    """All that is in a value but its punctuation, in order."""
    if isinstance(value, dict):
        yield "{"
        for key, inner in value.items():
            yield key
            yield from _said(inner)
        yield "}"
    elif isinstance(value, list):
        yield "["
        for inner in value:
            yield from _said(inner)
        yield "]"
    else:
        yield value if isinstance(value, str) else json.dumps(value)


def _last(value: Any) -> Any:
    """What is written last in a value."""
    while value and isinstance(value, (dict, list)):
        value = list(value.values() if isinstance(value, dict) else value)[-1]
    return value


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _keys(inner)


def _essence(text: str) -> str:
    """`text` without what mending may change: white space, quotes, commas, colons, and how Python spells constants."""
    constants = re.sub(r"\b(?:None|True|False)\b", lambda found: {"None": "null"}.get(found[0], found[0].lower()), text)
    return re.sub(r"[\s\"'“”‘’,:\\]+", "", constants)


def _unescaped(text: str) -> str:
    """`text` with its JSON escapes as the characters that they stand for."""
    named = re.sub(r"\\[bfnrt]", " ", text)
    return re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), named)
