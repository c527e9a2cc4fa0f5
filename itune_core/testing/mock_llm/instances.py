"""An instance of a JSON schema.

What pydantic writes is understood: objects, arrays, strings, numbers, enumerations, unions and references. What cannot
be held to (patterns, negation, conditions) is refused, as hosted servers refuse it, and never ignored.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from itune_core.testing.mock_llm.prose import words

UNKNOWN = ("pattern", "not", "if", "patternProperties", "dependentSchemas", "contains", "unevaluatedProperties")
"""Keywords that say what an instance must be and that are not understood here."""

FORMATS = {
    "date": "2024-02-29",
    "date-time": "2024-02-29T12:30:00Z",
    "time": "12:30:00Z",
    "duration": "P1DT2H",
    "email": "ash@example.org",
    "uri": "https://example.org/ash",
    "uuid": "5f1c8d0e-7a3b-4c2d-9e6f-0a1b2c3d4e5f",
    "ipv4": "192.0.2.7",
}

SHALLOW = 4
"""Depth from which an instance is kept as small as the schema allows, so that one that contains itself ends."""
DEEP = 32
LARGE = 10_000
"""Values that are tried before a schema is given up."""
LONGEST = 100_000
"""Characters of the longest text that is made."""

ANNOTATIONS = {"title", "description", "default", "examples", "discriminator", "$defs"}


class SchemaError(ValueError):
    """The schema is wrong, or says what is not understood."""


def instance(schema: Any, rng: random.Random) -> Any:
    """A value that `schema` allows, drawn with `rng`.

    Raises:
        SchemaError: there is none, or none that can be found here.
    """
    try:
        return _Walk(schema, rng).value(schema, 0)
    except SchemaError:
        raise
    except (TypeError, ValueError, ArithmeticError) as error:  # what a keyword says is of any type
        raise SchemaError(f"a keyword says what it cannot: {error}") from error
    except RecursionError:
        raise SchemaError("it is nested too deep, or leads to itself") from None


class _Walk:
    def __init__(self, root: Any, rng: random.Random) -> None:
        self._root, self._rng, self._left = root, rng, LARGE

    def value(self, schema: Any, depth: int) -> Any:
        schema = self._resolved(schema)
        self._left -= 1
        if depth > DEEP or self._left < 0:
            raise SchemaError("the schema has no end: an object must hold another of its kind")
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._one(schema["enum"], "enum", depth)
        for union in ("anyOf", "oneOf"):
            if union in schema:
                return self._of_union(schema, union, depth)
        kind = schema.get("type", "object" if "properties" in schema else "string")
        if isinstance(kind, list):
            kind = self._one(sorted(kind, key=lambda name: name != "null") if depth > SHALLOW else kind, "type", depth)
        make = getattr(self, f"_{kind}", None) if kind in _TYPES else None
        if make is None:
            raise SchemaError(f"no type {kind!r}")
        return make(schema, depth)

    def _resolved(self, schema: Any) -> Mapping[str, Any]:
        """`schema` with its references followed and the parts of ``allOf`` laid over it."""
        if schema is True or schema == {}:
            return {"type": "string"}
        for _ in range(DEEP):
            if not isinstance(schema, Mapping):
                raise SchemaError("a schema is no object")
            if found := [name for name in UNKNOWN if name in schema]:
                raise SchemaError(f"{found[0]!r} is not supported")
            if "$ref" in schema:
                rest = {name: value for name, value in schema.items() if name != "$ref"}
                schema = {**self._referred(schema["$ref"]), **rest}
            elif "allOf" in schema:
                schema = self._merged(schema)
            else:
                return schema
        raise SchemaError("a reference leads to itself")

    def _referred(self, reference: Any) -> Mapping[str, Any]:
        found = self._root
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise SchemaError(f"the reference {reference!r} does not begin with #")
        for name in reference[1:].split("/")[1:]:
            key = name.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, Mapping) or key not in found:
                raise SchemaError(f"the reference {reference!r} leads nowhere")
            found = found[key]
        if not isinstance(found, Mapping):
            raise SchemaError(f"the reference {reference!r} leads to no schema")
        return found

    def _merged(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        merged = {name: value for name, value in schema.items() if name != "allOf"}
        for part in map(self._resolved, schema["allOf"]):
            for name, value in part.items():
                both = name in merged and merged[name] != value
                if both and name == "properties":
                    merged[name] = {**merged[name], **value}
                elif both and name == "required":
                    merged[name] = [*merged[name], *value]
                elif both and name not in ANNOTATIONS:
                    raise SchemaError(f"two parts of allOf both say {name!r}")
                else:
                    merged[name] = value
        return merged

    def _of_union(self, schema: Mapping[str, Any], union: str, depth: int) -> Any:
        """An instance of one option, of the first in a drawn order that there is one of."""
        options = schema[union]
        if not isinstance(options, list) or not options:
            raise SchemaError(f"{union!r} is no list, or empty")
        options = self._rng.sample(options, len(options))
        if depth > SHALLOW:
            options.sort(key=lambda option: isinstance(option, Mapping) and "$ref" in option)
        beside = {name: value for name, value in schema.items() if name != union and name not in ANNOTATIONS}
        for number, option in enumerate(options, 1):
            try:
                return self.value({"allOf": [beside, option]} if beside else option, depth + 1)
            except SchemaError:
                if number == len(options) or self._left < 0:
                    raise
        return None

    def _one(self, options: Any, name: str, depth: int) -> Any:
        if not isinstance(options, list) or not options:
            raise SchemaError(f"{name!r} is no list, or empty")
        return options[0] if depth > SHALLOW else self._rng.choice(options)

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties, required = schema.get("properties", {}), schema.get("required", [])
        if not isinstance(properties, Mapping) or not isinstance(required, Sequence):
            raise SchemaError("'properties' is no object, or 'required' no list")
        wanted = {name: properties[name] for name in properties if depth <= SHALLOW or name in required}
        others = schema.get("additionalProperties", True)
        missing = [name for name in required if name not in properties]
        while len(wanted) + len(missing) < schema.get("minProperties", 0):
            missing.append(f"key{len(wanted) + len(missing) + 1}")
        if missing and others is False:
            raise SchemaError(f"{missing[0]!r} is required and not allowed")
        wanted |= dict.fromkeys(missing, {} if others is True else others)
        return {name: self.value(inner, depth + 1) for name, inner in wanted.items()}

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        first = schema.get("prefixItems", [])
        least = schema.get("minItems", 0)
        most = schema.get("maxItems", max(least, len(first), 3))
        if least > most:
            raise SchemaError("'minItems' is more than 'maxItems'")
        rest = schema.get("items", True)
        count = least if depth > SHALLOW else self._rng.randint(max(least, min(1, most)), most)
        if rest is False:
            count = min(count, len(first))
        found: list[Any] = []
        for number in range(count):
            item = self.value(first[number] if number < len(first) else rest, depth + 1)
            for _ in range(100 if schema.get("uniqueItems") else 0):
                if item not in found:
                    break
                item = self.value(rest, depth + 1)
            if schema.get("uniqueItems") and item in found:
                if len(found) < least:
                    raise SchemaError("no other item can be found for an array of unique items")
                break
            found.append(item)
        return found

    def _string(self, schema: Mapping[str, Any], depth: int) -> str:
        if "format" in schema:
            if schema["format"] not in FORMATS:
                raise SchemaError(f"the format {schema['format']!r} is not supported")
            return FORMATS[schema["format"]]
        least, most = schema.get("minLength", 0), schema.get("maxLength", math.inf)
        if least > most:
            raise SchemaError("'minLength' is more than 'maxLength'")
        if least > LONGEST:
            raise SchemaError(f"'minLength' is more than {LONGEST}")
        text = words(self._rng, self._rng.randint(1, 6))
        while len(text) < least:
            text += f" {words(self._rng, 4)}"
        return text if len(text) <= most else text[: int(most)]

    def _integer(self, schema: Mapping[str, Any], depth: int) -> int:
        step = schema.get("multipleOf", 1)
        if step != int(step):
            raise SchemaError("'multipleOf' of an integer is no integer")
        return int(step) * self._multiple(schema, int(step))

    def _number(self, schema: Mapping[str, Any], depth: int) -> float:
        if "multipleOf" in schema:
            return float(schema["multipleOf"] * self._multiple(schema, schema["multipleOf"]))
        low, high = _bounds(schema)
        if low > high or (low == high and {"exclusiveMinimum", "exclusiveMaximum"} & {*schema}):
            raise SchemaError("no number is within the bounds")
        return low + (high - low) * self._rng.choice((0.25, 0.5, 0.75))  # never a bound itself

    def _multiple(self, schema: Mapping[str, Any], step: float) -> int:
        """How often `step` is in a number within the bounds."""
        if step <= 0:
            raise SchemaError("'multipleOf' is not above 0")
        low, high = _bounds(schema)
        least, most = math.ceil(low / step), math.floor(high / step)
        least += least * step == schema.get("exclusiveMinimum")
        most -= most * step == schema.get("exclusiveMaximum")
        if least > most:
            raise SchemaError("no number is within the bounds")
        return self._rng.randint(least, most)

    def _boolean(self, schema: Mapping[str, Any], depth: int) -> bool:
        return self._rng.random() < 0.5

    def _null(self, schema: Mapping[str, Any], depth: int) -> None:
        return None


_TYPES = ("object", "array", "string", "integer", "number", "boolean", "null")
_SPAN = 10
"""Between the bounds of a number that has one or none."""


def _bounds(schema: Mapping[str, Any]) -> tuple[float, float]:
    """The least and the largest number; whether they are allowed themselves is the caller's matter."""
    lows = [schema[name] for name in ("minimum", "exclusiveMinimum") if name in schema]
    highs = [schema[name] for name in ("maximum", "exclusiveMaximum") if name in schema]
    if not all(isinstance(bound, (int, float)) for bound in (*lows, *highs)):
        raise SchemaError("a bound is no number")
    low = max(lows) if lows else (min(highs) - _SPAN if highs else 0)
    return low, min(highs) if highs else low + _SPAN
