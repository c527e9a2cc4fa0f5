"""The parts of an expression: what they come to for a record, and why."""

from __future__ import annotations

import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from itune_core.api import RowError
from itune_filters.scores.columns import as_number, kind_of, spelt, spelt_apart

Type = Literal["number", "text", "condition", "score"]
"""What a part comes to. What a score column holds is known only when it is read."""

Values = Mapping[str, Any]
"""What each name of an expression stands for, in one record; never null."""

SHOWN = 40
"""Longest text in an explanation, in characters."""

COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
COMPUTE: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


@dataclass(frozen=True)
class Function:
    """A function of the language: the types it takes, the one it gives, and what it does."""

    takes: tuple[Type, ...]
    gives: Type
    does: Callable[..., Any]


def _words(text: str) -> float:
    return float(len(text.split()))


def _characters(text: str) -> float:
    return float(len(text))


FUNCTIONS: Mapping[str, Function] = {
    "characters": Function(("text",), "number", _characters),
    "words": Function(("text",), "number", _words),
    "lower": Function(("text",), "text", str.lower),
    "contains": Function(("text", "text"), "condition", operator.contains),
}


@dataclass(frozen=True)
class Node(ABC):
    """A part of an expression.

    Attributes:
        text: as written.
    """

    text: str

    @property
    @abstractmethod
    def type(self) -> Type:
        """What it comes to."""

    @abstractmethod
    def value(self, values: Values) -> Any:
        """A float, a text, or whether it is true.

        Raises:
            RowError: ``E-FILTER-011`` a score column holds something else than is needed; ``E-FILTER-012`` a sum,
                product or quotient is no finite number.
        """

    def why(self, values: Values) -> str:
        """Why the condition is what it is."""
        return f"{self.text} is {'true' if self.value(values) else 'false'}"


@dataclass(frozen=True)
class Constant(Node):
    """A number or a quoted text."""

    constant: float | str

    @property
    def type(self) -> Type:
        return "text" if isinstance(self.constant, str) else "number"

    def value(self, values: Values) -> float | str:
        return self.constant


@dataclass(frozen=True)
class Name(Node):
    """A column, or a part of the record's text."""

    @property
    def type(self) -> Type:
        return "score" if self.text.startswith("score.") else "text"

    def value(self, values: Values) -> Any:
        return values[self.text]


@dataclass(frozen=True)
class Call(Node):
    """A function of some parts."""

    function: str
    arguments: tuple[Node, ...]

    @property
    def type(self) -> Type:
        return FUNCTIONS[self.function].gives

    def value(self, values: Values) -> Any:
        function = FUNCTIONS[self.function]
        taken = [typed(part, type_, values) for part, type_ in zip(self.arguments, function.takes, strict=True)]
        return function.does(*taken)


@dataclass(frozen=True)
class Arithmetic(Node):
    """Numbers joined by ``+`` and ``-``, or by ``*`` and ``/``, from left to right; or one with its sign turned."""

    first: Node
    rest: tuple[tuple[str, Node], ...]
    negative: bool = False

    @property
    def type(self) -> Type:
        return "number"

    def value(self, values: Values) -> float:
        result: float = typed(self.first, "number", values)
        try:
            for sign, part in self.rest:
                result = COMPUTE[sign](result, typed(part, "number", values))
        except ArithmeticError as error:
            raise RowError(f"{self.text} cannot be computed: {error}", "E-FILTER-012") from error
        if not math.isfinite(result):
            raise RowError(f"{self.text} cannot be computed: it is {result}", "E-FILTER-012")
        return -result if self.negative else result


@dataclass(frozen=True)
class Comparison(Node):
    """Parts, each compared with the next: ``0.5 < score.ifd <= 1``."""

    parts: tuple[Node, ...]
    signs: tuple[str, ...]

    @property
    def type(self) -> Type:
        return "condition"

    @property
    def _of(self) -> Type:
        return "text" if any(part.type == "text" for part in self.parts) else "number"

    def value(self, values: Values) -> bool:
        sides = [typed(part, self._of, values) for part in self.parts]
        return all(COMPARE[sign](*pair) for sign, pair in zip(self.signs, pairwise(sides), strict=True))

    def why(self, values: Values) -> str:
        sides = [typed(part, self._of, values) for part in self.parts]
        pairs = list(zip(self.signs, pairwise(self.parts), pairwise(sides), strict=True))
        broken = [pair for pair in pairs if not COMPARE[pair[0]](*pair[2])][:1]
        return " and ".join(_compared(*pair, holds=not broken) for pair in broken or pairs)


@dataclass(frozen=True)
class Membership(Node):
    """Whether a part is one of some constants, or none of them."""

    part: Node
    options: tuple[Constant, ...]
    negated: bool

    @property
    def type(self) -> Type:
        return "condition"

    def value(self, values: Values) -> bool:
        found = typed(self.part, self.options[0].type, values)
        return (found in [option.constant for option in self.options]) != self.negated

    def why(self, values: Values) -> str:
        found = typed(self.part, self.options[0].type, values)
        among = found in [option.constant for option in self.options]
        listed = ", ".join(option.text for option in self.options)
        return f"{self.part.text} is {shown(found)}, {'one' if among else 'none'} of [{listed}]"


@dataclass(frozen=True)
class Junction(Node):
    """Conditions joined by ``and``, or by ``or``. All are asked: what cannot be told of a record is never skipped."""

    word: Literal["and", "or"]
    parts: tuple[Node, ...]

    @property
    def type(self) -> Type:
        return "condition"

    def value(self, values: Values) -> bool:
        found = [typed(part, "condition", values) for part in self.parts]
        return all(found) if self.word == "and" else any(found)

    def why(self, values: Values) -> str:
        decided = self.value(values)
        # one false part decides an `and`, one true part an `or`; the other way round it takes all
        deciding = [part for part in self.parts if typed(part, "condition", values) == decided]
        said = [part.why(values) for part in deciding]
        return said[0] if decided == (self.word == "or") else " and ".join(said)


@dataclass(frozen=True)
class Negation(Node):
    """A condition that is not to hold."""

    part: Node

    @property
    def type(self) -> Type:
        return "condition"

    def value(self, values: Values) -> bool:
        return not typed(self.part, "condition", values)

    def why(self, values: Values) -> str:
        return self.part.why(values)


def typed(node: Node, wanted: Type, values: Values) -> Any:
    """A part's value, of the wanted type.

    Raises:
        RowError: ``E-FILTER-011`` a score column holds something else.
    """
    found = node.value(values)
    if node.type != "score":
        return found
    if wanted == "number":
        return as_number(found, node.text)
    if not isinstance(found, str if wanted == "text" else bool):
        expected = "text" if wanted == "text" else "true or false"
        raise RowError(f"{node.text} holds {kind_of(found)}, not {expected}", "E-FILTER-011")
    return found


def shown(found: float | str) -> str:
    """A value for people."""
    if not isinstance(found, str):
        return spelt(found)
    return repr(found if len(found) <= SHOWN else f"{found[: SHOWN - 3]}...")


def _compared(sign: str, parts: Sequence[Node], sides: Sequence[Any], holds: bool) -> str:
    """``score.ifd is 1.31, not <= 1``."""
    (left, right), (found, bound) = parts, sides
    if isinstance(left, Constant):
        left, right, found, bound, sign = right, left, bound, found, TURNED[sign]
    one, other = (shown(found), shown(bound)) if isinstance(found, str) else spelt_apart(found, bound)
    against = right.text if isinstance(right, Constant) else f"{right.text} ({other})"
    return f"{left.text} is {one}, {'which is' if holds else 'not'} {sign} {against}"
