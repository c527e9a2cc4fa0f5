"""Jinja templates that stand in a recipe, rendered over rows that nobody vouches for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from itune_core.api import RowError

if TYPE_CHECKING:
    from jinja2 import Environment, Template

MAX_TEXT = 4 * 2**20
"""Longest text that a template may give, in characters: a row that makes it grow further is refused."""

RAISED = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError)
"""What an expression of a template may raise over values of any type, besides Jinja's own errors."""


@lru_cache(maxsize=1)
def _environment() -> Environment:
    """Every template's: no file, function, attribute of Python's own or source of chance can be reached from it."""
    from jinja2 import StrictUndefined
    from jinja2.exceptions import SecurityError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Sandbox(ImmutableSandboxedEnvironment):
        intercepted_binops = frozenset({"*", "**"})

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            if operator == "**" or not all(isinstance(side, (int, float)) for side in (left, right)):
                raise SecurityError("text and lists are not multiplied, numbers not raised to powers: memory is finite")
            return super().call_binop(context, operator, left, right)

    # Nothing is escaped: what comes out is text for a model, not a page.
    environment = Sandbox(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
    environment.globals.clear()
    del environment.filters["random"]
    return environment


@lru_cache(maxsize=1024)
def compiled(source: str) -> Template:
    """The template of a source, parsed once in each process.

    Raises:
        ValueError: it cannot be parsed, or has what no row could make right: an unknown filter, a call of a function,
            an attribute that begins with ``_``, another template.
    """
    from jinja2 import TemplateError, nodes

    environment = _environment()
    try:
        tree = environment.parse(source)
        for node in tree.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)):
            raise ValueError(f"line {node.lineno}: there are no other templates to take from")
        for call in tree.find_all(nodes.Call):
            if isinstance(call.node, nodes.Name):
                raise ValueError(f"line {call.lineno}: there is no function {call.node.name}()")
        for access in tree.find_all(nodes.Getattr):
            if access.attr.startswith("_"):
                raise ValueError(f"line {access.lineno}: {access.attr!r} is out of reach")
        return environment.from_string(source)
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        raise ValueError(f"line {line}: {error.message}" if line else str(error.message)) from error


@lru_cache(maxsize=1024)
def printed(source: str) -> frozenset[str]:
    """The names that a template prints as they are, whatever the row: ``{{ question }}`` outside any condition."""
    from jinja2 import nodes

    tree = _environment().parse(source)
    own = {name.name for name in tree.find_all(nodes.Name) if name.ctx == "store"}  # set by the template itself
    outputs = [node for node in tree.body if isinstance(node, nodes.Output)]
    return frozenset(part.name for node in outputs for part in node.nodes if isinstance(part, nodes.Name)) - own


def render(source: str, row: Mapping[str, Any]) -> str:
    """A template's text for a row. Its names are the row's fields; ``row`` is the row itself, for other names.

    Raises:
        RowError: ``E-FORMAT-033`` it cannot be rendered: a field is missing, say, or has a type that a filter cannot
            take; ``E-FORMAT-034`` the text grows longer than :data:`MAX_TEXT`.
    """
    from jinja2 import TemplateError

    fields = dict(row)
    parts: list[str] = []
    size = 0
    try:
        for part in compiled(source).generate({"row": fields, **fields}):
            size += len(part)
            if size > MAX_TEXT:
                raise RowError(f"a template gives more than {MAX_TEXT} characters", "E-FORMAT-034")
            parts.append(part)
    except (TemplateError, *RAISED) as error:
        raise RowError(
            "a template cannot be rendered for this row",
            "E-FORMAT-033",
            why=f"{type(error).__name__}: {error}",
            fix=f"the row has {sorted(fields)}; {{{{ name | default('') }}}} takes what may be missing",
        ) from error
    return "".join(parts)
