"""PromptSource's templates, applied to rows."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jinja2
from jinja2 import meta

from itune_core.api import DataError, Drop, RowError
from itune_formatters.tasks.metering import Metered, Refused, Unlabelled
from itune_formatters.tasks.template_files import Template
from itune_formatters.tasks.template_nodes import OPTIONS

BETWEEN = "|||"
"""What stands between prompt and target, and between the answers to choose from, in a template."""

MARK = "\ufdd0"
"""What stands there while it is rendered: a code point that is reserved for programs, so that no row holds it, and what
a row has of :data:`BETWEEN`, at any depth, is text like any other."""

RAISED = (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError, RecursionError)
"""What an expression of a template may raise."""

NO_TEMPLATE = (jinja2.TemplateError, SyntaxError, RecursionError, MemoryError)
"""What compiling a text may raise; Python's own compiler says MemoryError of what is nested too deeply."""


@dataclass(frozen=True)
class Applied:
    """What a template makes of a row."""

    prompt: str
    target: str
    choices: list[str] | None


@dataclass(frozen=True)
class _Compiled:
    """A text of a template.

    Attributes:
        text: compiled.
        reads: the variables it may read.
    """

    text: jinja2.Template
    reads: frozenset[str]


class Renderer:
    """Applies templates. Pickles without what is compiled, which each process compiles when it first needs it.

    Args:
        templates: in the order of their file.

    Raises:
        DataError: ``E-FORMAT-067`` one of the templates cannot be compiled, or has a part that is not allowed.
    """

    def __init__(self, templates: Sequence[Template]) -> None:
        self.templates = tuple(templates)
        self._compiled: dict[str, _Compiled] = {}
        for template in templates:
            self.reads(template)

    def __reduce__(self) -> tuple[type[Renderer], tuple[Sequence[Template]]]:
        return Renderer, (self.templates,)

    @cached_property
    def _environment(self) -> Metered:
        return Metered()

    def reads(self, template: Template) -> frozenset[str]:
        """The fields of a row that a template may read."""
        return frozenset().union(*(self._compile(template, text).reads for text in _texts(template)))

    def apply(self, template: Template, row: Mapping[str, Any], rng: random.Random) -> Applied | Drop:
        """A template applied to a row; its random choices come from `rng`.

        Returns:
            Prompt and target, without the space around them; or ``Drop("template-does-not-apply")`` where rendering
            gives other than two parts, ``Drop("unlabelled")`` where the row's label is negative.

        Raises:
            RowError: ``E-FORMAT-069`` an expression cannot be computed, or is not allowed; ``E-FORMAT-070`` too much
                work.
        """
        jinja, *expressions = (self._compile(template, text).text for text in _texts(template))
        choices: list[str] | None = None
        try:
            for expression in expressions:
                choices = [part.strip() for part in self._environment.rendered(expression, row, rng).split(MARK)]
            parts = self._environment.rendered(jinja, {**row, OPTIONS: choices}, rng).split(MARK)
        except Unlabelled:
            return Drop("unlabelled", template.name)
        except RAISED as error:
            raise RowError(
                f"the template {template.name!r} cannot be applied",
                "E-FORMAT-069",
                why=str(error) or type(error).__name__,
                fix="check that the row has the template's fields, or leave the template out with `only`",
            ) from error
        if len(parts) != 2:
            return Drop("template-does-not-apply", template.name)
        return Applied(parts[0].strip(), parts[1].strip(), choices)

    def _compile(self, template: Template, text: str) -> _Compiled:
        if text not in self._compiled:
            try:
                marked = text.replace(BETWEEN, MARK)
                reads = meta.find_undeclared_variables(self._environment.parse(marked))
                self._compiled[text] = _Compiled(self._environment.compiled(marked), frozenset(reads))
            except NO_TEMPLATE as error:
                refused = isinstance(error, Refused)
                raise DataError(
                    "E-FORMAT-067",
                    f"the template {template.name!r} {'does what is not allowed' if refused else 'cannot be compiled'}",
                    where=f"template {template.id}",
                    why=str(error) or type(error).__name__,
                    fix="mend it, or leave it out with `only`",
                ) from error
        return self._compiled[text]


def _texts(template: Template) -> list[str]:
    return [template.jinja, *([] if template.answer_choices is None else [template.answer_choices])]


def check(row: Mapping[str, Any]) -> None:
    """Refuse a row that cannot be told from what templates add to it; to be called before one is applied.

    Raises:
        RowError: ``E-FORMAT-068``.
    """
    if OPTIONS in row:
        raise RowError(f"the row has a field {OPTIONS!r}, which templates set", "E-FORMAT-068", fix="rename the field")
    if MARK in json.dumps(dict(row), ensure_ascii=False, default=str):
        raise RowError("the row holds U+FDD0, which no text may hold", "E-FORMAT-068", fix="remove it")
