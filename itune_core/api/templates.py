"""Jinja templates of recipes and plugins, rendered in a sandbox over rows that nobody vouches for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from itune_core.api.errors import DataError, RowError
from itune_core.api.records import message

if TYPE_CHECKING:
    import jinja2

    from itune_core.api.asking import Message

MAX_TEXT = 4 * 2**20
"""Longest text that a template may give, in characters: a row that makes it grow further is refused."""

_RAISED = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError)
"""What an expression of a template may raise over values of any type, besides Jinja's own errors."""


@dataclass(frozen=True)
class Template:
    """Text with places to be filled, in Jinja.

    From a template no file, other template, function, attribute of Python's own or source of chance can be reached, and
    no ``*`` in it multiplies text. What pads to a width (``center``, ``ljust``, ``%``) does as the template says: its
    author is trusted with memory, a row is not. A name that is not given is an error, never blank. Nothing is escaped:
    what comes out is text for a model, not a page.

    Attributes:
        source: of the template.
    """

    source: str

    def check(self, gives: frozenset[str] | None = None) -> None:
        """Pass, or say why no row could make it right.

        Args:
            gives: the names that it may ask for; None: any.

        Raises:
            ValueError: it cannot be parsed, or has an unknown filter, a call of a function, an attribute that begins
                with ``_``, another template, or a name that is not among `gives`.
        """
        from jinja2 import meta

        _compiled(self.source)
        unknown = meta.find_undeclared_variables(_environment().parse(self.source)) - gives if gives is not None else ()
        if unknown:
            raise ValueError(f"there is no {', '.join(sorted(unknown))}")

    def printed(self) -> frozenset[str]:
        """The names that it prints as they are, whatever the row: ``{{ question }}`` outside any condition."""
        from jinja2 import nodes

        tree = _environment().parse(self.source)
        own = {name.name for name in tree.find_all(nodes.Name) if name.ctx == "store"}  # set by the template itself
        outputs = [node for node in tree.body if isinstance(node, nodes.Output)]
        return frozenset(part.name for node in outputs for part in node.nodes if isinstance(part, nodes.Name)) - own

    def render(self, values: Mapping[str, Any]) -> str:
        """Its text for some values.

        Raises:
            RowError: ``E-DATA-033`` it cannot be rendered: a name is missing, say, or has a type that a filter cannot
                take; ``E-DATA-034`` the text grows longer than :data:`MAX_TEXT`.
        """
        from jinja2 import TemplateError

        parts: list[str] = []
        size = 0
        try:
            for part in _compiled(self.source).generate(values):
                size += len(part)
                if size > MAX_TEXT:
                    raise RowError(f"a template gives more than {MAX_TEXT} characters", "E-DATA-034")
                parts.append(part)
        except (TemplateError, *_RAISED) as error:
            raise RowError(
                "a template cannot be rendered for this row",
                "E-DATA-033",
                why=f"{type(error).__name__}: {error}",
                fix=f"there are {', '.join(sorted(values))}; {{{{ name | default('') }}}} takes what may be missing",
            ) from error
        return "".join(parts)


@dataclass(frozen=True)
class Prompt:
    """What a model is asked in words: a template that a plugin brings, or one that a recipe names in its place.

    A component that asks has a setting ``prompt: InputFile | None`` and, in its package, a folder ``prompts``::

        asked = Prompt.read(__package__, "tags", self.config.prompt, gives=frozenset({"prompt"}))
        reply = yield Ask(self.config.model, asked.turns(prompt=turns))

    Attributes:
        template: of the question.
    """

    template: Template

    @classmethod
    def read(cls, package: str, name: str, path: str | None, gives: frozenset[str]) -> Prompt:
        """The prompt in the file `path` or, if that is None, ``prompts/<name>.jinja`` of `package`.

        Args:
            package: of the component, its ``__package__``.
            name: of the built-in one.
            path: the recipe's own.
            gives: the names that it may ask for.

        Raises:
            DataError: ``E-DATA-035`` it cannot be read or parsed, or asks for what is not among `gives`.
        """
        try:
            place = files(package) / "prompts" / f"{name}.jinja" if path is None else Path(path)
            template = Template(place.read_text("utf-8"))
            template.check(gives)
        except (OSError, ValueError) as error:
            raise DataError(
                "E-DATA-035",
                "a prompt cannot be used",
                where=path,
                why=str(error),
                fix=f"name one Jinja file in UTF-8; what it may ask for: {', '.join(sorted(gives))}",
            ) from error
        return cls(template)

    def turns(self, **values: Any) -> list[Message]:
        """The question as one turn of the user, without white space around it.

        Raises:
            RowError: as :meth:`Template.render`; ``E-DATA-036`` there is no text in it.
        """
        text = self.template.render(values).strip()
        if not text:
            raise RowError("the prompt is empty for this row", "E-DATA-036")
        return [message("user", text)]


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    from jinja2 import StrictUndefined
    from jinja2.exceptions import SecurityError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Sandbox(ImmutableSandboxedEnvironment):
        intercepted_binops = frozenset({"*", "**"})

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            if operator == "**" or not all(isinstance(side, (int, float)) for side in (left, right)):
                raise SecurityError("text and lists are not multiplied, numbers not raised to powers: memory is finite")
            return super().call_binop(context, operator, left, right)

    environment = Sandbox(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
    environment.globals.clear()
    del environment.filters["random"]
    return environment


@lru_cache(maxsize=1024)
def _compiled(source: str) -> jinja2.Template:
    """The template of a source, parsed once in each process.

    Raises:
        ValueError: as :meth:`Template.check`.
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
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        raise ValueError(f"line {line}: {error.message}" if line else str(error.message)) from error
