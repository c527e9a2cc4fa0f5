"""How a recipe says where a part of an instance comes from: a field, a constant, a template, or a choice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from typing import Annotated, Any

from pydantic import AfterValidator, Discriminator, Field, Tag

from itune_core.api import ComponentConfig, RowError
from itune_core.api import Template as Jinja
from itune_formatters.instructions.paths import at, steps


def _is_path(path: str) -> str:
    steps(path)
    return path


def _is_template(source: str) -> str:
    try:
        Jinja(source).check()
    except ValueError as error:
        raise ValueError(f"a Jinja template ({error})") from error
    return source


Path = Annotated[str, AfterValidator(_is_path)]


class Constant(ComponentConfig):
    """The same text for every row."""

    constant: str = Field(description="The text.")


class Template(ComponentConfig):
    """A Jinja template over the fields of the row."""

    template: Annotated[str, AfterValidator(_is_template)] = Field(description="The template.")


PLAIN_FORMS = "a field's name, {constant: TEXT} or {template: JINJA}"
FORMS = "a field's name, {constant: TEXT}, {template: JINJA} or {field: NAME, choices: ...}"


def _form(value: Any) -> str | None:
    if isinstance(value, str):
        return "path"
    for form, type_ in (("constant", Constant), ("template", Template), ("choices", Choice)):
        if isinstance(value, type_) or (isinstance(value, Mapping) and form in value):
            return form
    return None


Plain = Annotated[
    Annotated[Path, Tag("path")] | Annotated[Constant, Tag("constant")] | Annotated[Template, Tag("template")],
    Discriminator(_form, "value_form", PLAIN_FORMS),
]


class Choice(ComponentConfig):
    """The one of several texts that a label says: a number from 0, or a key."""

    field: Path = Field(description="The field that holds the label.")
    choices: Path | list[Plain] | dict[str, Plain] = Field(
        description="The texts: a list, for labels that count from 0; a mapping from label to text; or the name of a "
        "field that holds a list of texts."
    )


Value = Annotated[
    Annotated[Path, Tag("path")]
    | Annotated[Constant, Tag("constant")]
    | Annotated[Template, Tag("template")]
    | Annotated[Choice, Tag("choices")],
    Discriminator(_form, "value_form", FORMS),
]
"""As a recipe says it; what it means is in :func:`read`."""


def read(value: str | Constant | Template | Choice, row: Mapping[str, Any]) -> Any:
    """What `value` says of `row`.

    Raises:
        RowError: ``E-FORMAT-031`` no such field; ``E-FORMAT-032`` no such choice; ``E-DATA-033``, ``E-DATA-034``
            the template fails for this row.
    """
    if isinstance(value, str):
        return at(row, value)
    if isinstance(value, Constant):
        return value.constant
    if isinstance(value, Template):
        fields = dict(row)
        return Jinja(value.template).render({"row": fields, **fields})
    return _chosen(value, row)


def taken(value: str | Constant | Template | Choice, row: Mapping[str, Any]) -> frozenset[str]:
    """The fields of `row` that stand whole in what `value` says; others that it reads may stand there in part."""
    if isinstance(value, Template):
        return frozenset(
            name for name in Jinja(value.template).printed() if isinstance(row.get(name), (str, int, float))
        )
    return frozenset({value} if isinstance(value, str) and value in row else ())


def as_text(part: str, value: Any) -> str:
    """A value as text: text as it is, null as the empty text, a number as JSON writes it.

    Raises:
        RowError: ``E-FORMAT-035`` it is something else.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value):
        return json.dumps(value)
    raise RowError(
        f"what is mapped to {part} must be text or a finite number, not {type(value).__name__}",
        "E-FORMAT-035",
        fix="write a path into it, a template, or choices",
    )


def _chosen(value: Choice, row: Mapping[str, Any]) -> Any:
    label = at(row, value.field)
    key = label if isinstance(label, str) else json.dumps(label, ensure_ascii=False, default=repr)
    choices: Any = at(row, value.choices) if isinstance(value.choices, str) else value.choices
    if isinstance(choices, Mapping) and key in choices:
        return read(choices[key], row)
    # Only digits: -1 is what test sets say in place of a label, and must not be taken for the last choice.
    if isinstance(choices, list) and key.isascii() and key.isdigit() and int(key) < len(choices):
        return choices[int(key)] if isinstance(value.choices, str) else read(choices[int(key)], row)
    known = sorted(choices) if isinstance(choices, Mapping) else f"0 to {len(choices) - 1}" if choices else "none"
    raise RowError(
        f"the label in {value.field!r} names no choice", "E-FORMAT-032", why=f"it is {key}; there are {known}"
    )
