"""Jinja for templates that somebody else wrote: what they may do, and how much of it.

jinja2's sandbox keeps a template from Python's internals. This one also bounds its work. Whatever loops, calls, joins,
multiplies or builds is charged to a budget, in characters / 64 and items; a template that uses it up fails for that
row. There is no clock in it: the same row fails on every machine. What cannot be charged is not offered: macros,
recursive loops, inclusion, string formatting, methods and filters that pad.
"""

from __future__ import annotations

import random
import types
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

import jinja2
from jinja2 import nodes, pass_context, pass_eval_context
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS, do_join, do_replace
from jinja2.runtime import LoopContext, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS
from jinja2.utils import Cycler, Namespace

from itune_core.api import RowError
from itune_formatters.tasks.template_nodes import ALLOWED, CONCATENATED, LOOPED, OPTION, SOUGHT, WEIGHED, Metering

MAX_WORK = 500_000
"""What one rendering may use up: about 32 million characters, or half a million steps of a loop."""

CHARACTERS = 64
"""Characters that cost as much as one item."""

MAX_INTEGER = 2**63

PLAIN = (str, int, float, type(None), Undefined)
LAZY = (types.GeneratorType, map, filter, zip, range, reversed, enumerate)

SAFE_FILTERS = frozenset(
    (
        *("abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "groupby", "int"),
        *("items", "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr"),
        *("reverse", "select", "selectattr", "sort", "string", "title", "trim", "unique", "upper"),
        *("wordcount",),
    )
)
"""Of jinja2's filters those whose work is in proportion to what goes in and comes out; and `join` and `replace`."""

ITERATING = frozenset(
    (
        *("groupby", "list", "map", "max", "min", "most_frequent", "reject", "rejectattr", "select"),
        *("selectattr", "sort", "unique"),
    )
)
"""Filters that take a text character by character."""

STR_METHODS = frozenset(
    (
        *("capitalize", "casefold", "count", "endswith", "find", "index", "isalnum", "isalpha", "isascii"),
        *("isdecimal", "isdigit", "islower", "isnumeric", "isspace", "istitle", "isupper", "join", "lower"),
        *("lstrip", "partition", "removeprefix", "removesuffix", "replace", "rfind", "rindex", "rpartition"),
        *("rsplit", "rstrip", "split", "startswith", "strip", "swapcase", "title", "upper"),
    )
)


class Unlabelled(Exception):
    """A template looks up the answer of a row that has none: its label is negative."""


class Refused(SecurityError):
    """A template wants what it may not have."""


def overworked() -> RowError:
    """The error of a rendering that used up its budget."""
    return RowError(
        "a template does too much work for one row",
        "E-FORMAT-070",
        why=f"loops, calls and text together cost more than {MAX_WORK} (an item, or {CHARACTERS} characters, is 1)",
        fix="leave this template out, or shorten the row",
    )


class Metered(ImmutableSandboxedEnvironment):
    """The environment that templates are compiled and rendered in; one rendering at a time.

    Beside jinja2's own (see :data:`SAFE_FILTERS`) there are PromptSource's filters `choice` and `most_frequent` and its
    global `zip`. A variable that is not there, and one that is null, cannot be written: nothing stands in for it.
    """

    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%", "**"))

    def __init__(self) -> None:
        super().__init__(undefined=jinja2.StrictUndefined, finalize=pass_context(lambda _, item: self._written(item)))
        self._left, self._rng = MAX_WORK, random.Random(0)
        filters: dict[str, Any] = {
            **{name: FILTERS[name] for name in SAFE_FILTERS},
            "choice": pass_context(lambda _, items: self._rng.choice(items)),
            "random": pass_context(lambda _, items: self._rng.choice(items)),
            "most_frequent": _most_frequent,
            "join": pass_eval_context(lambda context, *args, **kwargs: self._join(context, *args, **kwargs)),
            "replace": pass_eval_context(lambda context, *args: self._replace(context, *args)),
        }
        self.filters = {name: self._metered(name, function) for name, function in filters.items()}
        self.filters[LOOPED] = pass_context(lambda _, items: self._looped(items))
        self.filters[WEIGHED] = pass_context(lambda _, value: self._weighed(value))
        self.filters[SOUGHT] = pass_context(lambda _, value: self._stepped(self._weighed(value)))
        self.filters[CONCATENATED] = pass_context(lambda _, parts: "".join(str(self._written(item)) for item in parts))
        self.filters[OPTION] = pass_context(lambda _, index: _option(index))
        self.tests = {name: self._metered(name, function) for name, function in dict[str, Any](TESTS).items()}
        self.globals = {name: self.globals[name] for name in ("range", "dict", "cycler", "joiner", "namespace")}
        self.globals["zip"] = zip

    def compiled(self, source: str) -> jinja2.Template:
        """A template.

        Raises:
            jinja2.TemplateError: it is not a template (TemplateSyntaxError, also for a filter that is not offered), or
                it has a part that is not allowed (:class:`Refused`).
            RecursionError, SyntaxError: it is nested too deeply.
        """
        self._left = MAX_WORK
        tree = self.parse(source)
        for node in tree.find_all(nodes.Node):
            if not isinstance(node, ALLOWED) or getattr(node, "recursive", False):
                raise Refused(f"{type(node).__name__} is not allowed (line {node.lineno})")
        Metering().visit(tree)
        tree.set_environment(self)
        return self.from_string(tree)

    def rendered(self, template: jinja2.Template, variables: Mapping[str, Any], rng: random.Random) -> str:
        """What `template` makes of `variables`; its random choices come from `rng`.

        Raises:
            RowError: ``E-FORMAT-070`` it does too much.
            Unlabelled: it looks up an answer by a negative number.
            jinja2.TemplateError, ArithmeticError, ...: whatever an expression raises.
        """
        self._left, self._rng = MAX_WORK, rng
        return template.render(variables)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if not super().is_safe_attribute(obj, attr, value):
            return False
        if isinstance(obj, str):
            return attr in STR_METHODS
        if isinstance(obj, dict):
            return attr in ("get", "items", "keys", "values")
        if isinstance(obj, (list, tuple)):
            return attr in ("count", "index")
        return isinstance(obj, (LoopContext, Cycler, Namespace))

    def wrap_str_format(self, value: Any) -> None:
        """No formatting: a width can be any number. (:meth:`is_safe_attribute` then refuses the method.)"""

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        for value in (*args, *kwargs.values()):
            __self._weighed(value)
        if isinstance(__obj, types.BuiltinMethodType) and isinstance(__obj.__self__, (str, list, tuple, dict)):
            __self._weighed(__obj.__self__)
            args = __self._methodical(__obj.__self__, __obj.__name__, args)
        args = tuple(map(__self._stepped, args))
        result = super().call(__context, __obj, *args, **kwargs)
        return __self._weighed(result) if isinstance(result, (str, Sequence, Mapping)) else result

    def _methodical(self, value: Any, method: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Charge a call of a method of a text whose result can be much more than goes in; the arguments to call it
        with."""
        if isinstance(value, str) and args:
            if method == "join":
                return self._joinable(args[0], value), *args[1:]
            if method == "replace" and len(args) > 1:
                self._charge_replacing(value, args[0], args[1])
        if method in ("split", "rsplit"):
            self._charge(len(value.split(*args[:1], maxsplit=self._left)))
        return args

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if isinstance(left, (int, float)) and isinstance(right, (int, float)):
            if operator == "**" and (abs(left) >= MAX_INTEGER or abs(right) > 64):
                raise Refused("a power this large is not allowed")
            if any(isinstance(item, int) and abs(item) >= MAX_INTEGER for item in (left, right)):
                raise Refused("arithmetic with a number this large is not allowed")
        elif operator == "*":
            times, value = (left, right) if isinstance(left, int) else (right, left)
            if isinstance(times, int):
                self._charge(max(times, 0) * self._weight(value))
        elif operator == "+":
            self._charge(self._weight(left) + self._weight(right))
        elif operator == "%":
            raise Refused("formatting with % is not allowed")
        return super().call_binop(context, operator, left, right)

    def _charge(self, cost: int) -> None:
        self._left -= cost
        if self._left < 0:
            raise overworked()

    def _weight(self, value: Any) -> int:
        """What `value` costs: everything in it is counted as often as it would be written."""
        total, waiting = 0, [value]
        while waiting:
            item = waiting.pop()
            total += 1
            if isinstance(item, str):
                total += len(item) // CHARACTERS
            elif isinstance(item, Mapping):
                waiting.extend(item)
                waiting.extend(item.values())
            elif isinstance(item, (list, tuple, Set)) or _is_view(item):
                waiting.extend(item)
            elif isinstance(item, int) and abs(item) >= MAX_INTEGER:
                total += CHARACTERS  # such numbers can all have one hash, so that a set of them takes the square
            elif not isinstance(item, PLAIN) and not (item is value and isinstance(item, LAZY)):
                raise Refused(f"a {type(item).__name__} cannot be used as data")
            if total + len(waiting) > MAX_WORK:
                raise overworked()
        return total

    def _weighed(self, value: Any) -> Any:
        self._charge(self._weight(value))
        return value

    def _looped(self, items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            self._charge(1)
            yield item

    def _stepped(self, value: Any) -> Any:
        """A value whose items, if they are yet to be made, are charged as they are."""
        return self._looped(value) if isinstance(value, LAZY) else value

    def _written(self, value: Any) -> Any:
        """A value that is about to become text."""
        if value is None:
            raise jinja2.UndefinedError("it writes a value that is null")
        if isinstance(value, LAZY):
            raise Refused(f"a {type(value).__name__} cannot be written: use `| list`")
        return self._weighed(value)

    def _metered(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """A filter or test whose arguments and result are charged."""
        handed = 1 if hasattr(function, "jinja_pass_arg") else 0

        def metered(*args: Any, **kwargs: Any) -> Any:
            for value in (*args[handed:], *kwargs.values()):
                self._weighed(value)
            if name in ITERATING and isinstance(args[handed], str):
                self._charge(len(args[handed]))
            return self._weighed(function(*map(self._stepped, args), **kwargs))

        metered.__dict__.update(vars(function) if hasattr(function, "__dict__") else {})
        return metered

    def _join(self, context: Any, value: Any, d: str = "", attribute: Any = None) -> str:
        return do_join(context, self._joinable(value, d), d, attribute)

    def _joinable(self, value: Iterable[Any], separator: object) -> list[Any]:
        """The items to join, charged with what stands between them."""
        items = list(self._looped(value))
        self._charge(self._weight(items) + len(items) * self._weight(separator))
        return items

    def _replace(self, context: Any, s: str, old: str, new: str, count: int | None = None) -> str:
        self._charge_replacing(str(s), old, new)
        return do_replace(context, s, old, new, count)

    def _charge_replacing(self, text: str, old: object, new: object) -> None:
        if isinstance(old, str) and isinstance(new, str):
            self._charge(text.count(old) * len(new) // CHARACTERS)


def _is_view(value: object) -> bool:
    return isinstance(value, (type({}.keys()), type({}.values()), type({}.items())))


def _option(index: Any) -> Any:
    if isinstance(index, int) and index < 0:
        raise Unlabelled
    return index


def _most_frequent(items: Sequence[Any]) -> list[Any]:
    """The items that occur most often, as often as each other, in order of first occurrence."""
    counts = Counter(items).most_common()
    return [item for item, count in counts if count == counts[0][1]]
