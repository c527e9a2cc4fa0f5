"""From an expression's text to its tree, by recursive descent.

::

    condition  = both { "or" both }
    both       = single { "and" single }
    single     = "not" single | relation
    relation   = sum { ("<" | "<=" | ">" | ">=" | "==" | "!=") sum } | sum ["not"] "in" list
    sum        = product { ("+" | "-") product }
    product    = factor { ("*" | "/") factor }
    factor     = "-" factor | number | text | name | name "(" condition { "," condition } ")" | "(" condition ")"
    list       = "[" [-] constant { "," [-] constant } "]"

Types are checked along the way, so that what no record could make right is found before any is read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from math import isfinite
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from itune_core.api import ScoreColumn
from itune_filters.expressions.nodes import (
    COMPARE,
    FUNCTIONS,
    Arithmetic,
    Call,
    Comparison,
    Constant,
    Junction,
    Membership,
    Name,
    Negation,
    Node,
    Type,
    Values,
    typed,
)
from itune_filters.expressions.tokens import Mistake, Token, tokens, unquoted

MAX_DEPTH = 20
"""How deep parentheses, calls, ``not`` and minus signs may be nested."""

TEXTS = ("prompt", "response", "all")
"""Parts of a record's text."""

COLUMNS = ("id", "source", "task", "category", "language", "license")

SCORE_COLUMN = TypeAdapter[str](ScoreColumn)

CALLED: dict[Type, str] = {"number": "a number", "text": "a text", "condition": "a condition", "score": "a score"}


@dataclass(frozen=True)
class Expression:
    """A condition, parsed.

    Attributes:
        condition: its tree.
        names: what it names: columns and parts of the text, in order of appearance.
    """

    condition: Node
    names: tuple[str, ...]

    @property
    def scores(self) -> tuple[str, ...]:
        """The score columns among the names."""
        return tuple(name for name in self.names if name.startswith("score."))

    def holds(self, values: Values) -> bool:
        """Whether it is true, given what each of its names stands for.

        Raises:
            RowError: ``E-FILTER-011``, ``E-FILTER-012``, as :meth:`Node.value`.
        """
        return bool(typed(self.condition, "condition", values))

    def why(self, values: Values) -> str:
        """Which part of it decides, and the values there."""
        return self.condition.why(values)


@lru_cache(maxsize=256)
def parse(source: str) -> Expression:
    """The tree of an expression.

    Raises:
        Mistake: it is not one; the message marks the place.
    """
    return _Parser(source).expression()


def _is_score_column(name: str) -> bool:
    try:
        SCORE_COLUMN.validate_python(name)
    except ValidationError:
        return False
    return True


class _Parser:
    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens = list(tokens(source))
        self.place = 0
        self.depth = 0
        self.names: dict[str, None] = {}

    def expression(self) -> Expression:
        whole = self.typed(self.condition, "condition")
        if self.next.kind != "end":
            raise self.mistake("the expression should end here, or go on with and, or, a comparison or a sign")
        if not self.names:
            raise Mistake("it names nothing of the record, so it says the same of all", self.source, 0, len(whole.text))
        return Expression(whole, tuple(self.names))

    # --- rules, the loosest first

    def condition(self) -> Node:
        return self.junction("or", self.both)

    def both(self) -> Node:
        return self.junction("and", self.single)

    def junction(self, word: Literal["and", "or"], inner: Callable[[], Node]) -> Node:
        start = self.next.start
        first = inner()
        if self.next.kind != word:
            return first
        self.check(first, "condition", start, self.end)
        parts = [first]
        while self.taken(word):
            parts.append(self.typed(inner, "condition"))
        return Junction(self.since(start), word, tuple(parts))

    def single(self) -> Node:
        start = self.next.start
        if not self.taken("not"):
            return self.relation()
        part = self.deeper(partial(self.typed, self.single, "condition"))
        return Negation(self.since(start), part)

    def relation(self) -> Node:
        start = self.next.start
        first = self.sum()
        negated = self.next.kind == "not" and self.tokens[self.place + 1].kind == "in"
        if negated or self.next.kind == "in":
            self.place += 1 + negated
            options = self.options(first)
            return Membership(self.since(start), first, options, negated)
        if self.next.kind not in COMPARE:
            return first
        parts, places, signs = [first], [(start, self.end)], []
        while self.next.kind in COMPARE:
            signs.append(self.take().kind)
            begun = self.next.start
            parts.append(self.sum())
            places.append((begun, self.end))
        of: Type = "text" if any(part.type == "text" for part in parts) else "number"
        for part, (begun, ended) in zip(parts, places, strict=True):
            self.check(part, of, begun, ended)
        if of == "text" and any(sign not in ("==", "!=") for sign in signs):
            raise Mistake("texts are compared with == and != only", self.source, start, self.end)
        return Comparison(self.since(start), tuple(parts), tuple(signs))

    def sum(self) -> Node:
        return self.arithmetic(("+", "-"), self.product)

    def product(self) -> Node:
        return self.arithmetic(("*", "/"), self.factor)

    def arithmetic(self, signs: tuple[str, str], inner: Callable[[], Node]) -> Node:
        start = self.next.start
        first = inner()
        if self.next.kind not in signs:
            return first
        self.check(first, "number", start, self.end)
        rest = []
        while self.next.kind in signs:
            sign = self.take().kind
            rest.append((sign, self.typed(inner, "number")))
        return Arithmetic(self.since(start), first, tuple(rest))

    def factor(self) -> Node:
        token = self.next
        if self.taken("-"):
            part = self.deeper(partial(self.typed, self.factor, "number"))
            if isinstance(part, Constant) and isinstance(part.constant, float):
                return Constant(self.since(token.start), -part.constant)
            return Arithmetic(self.since(token.start), part, (), negative=True)
        if self.taken("("):
            inner = self.deeper(self.condition)
            self.expect(")")
            return inner
        if token.kind in ("number", "text"):
            return self.constant()
        if token.kind == "name":
            self.take()
            return self.call(token) if self.next.kind == "(" else self.name(token)
        raise self.mistake("a number, a quoted text, a column, a function or ( should stand here")

    # --- leaves

    def constant(self) -> Constant:
        token = self.take()
        if token.kind == "text":
            return Constant(token.text, unquoted(token.text))
        found = float(token.text)
        if not isfinite(found):
            raise Mistake("this number is too large", self.source, token.start, self.end)
        return Constant(token.text, found)

    def name(self, token: Token) -> Name:
        if token.text not in (*COLUMNS, *TEXTS) and not _is_score_column(token.text):
            raise Mistake(
                f"there is no {token.text!r}; there are score.STEP, score.STEP.PART, {', '.join((*COLUMNS, *TEXTS))}",
                self.source,
                token.start,
                self.end,
            )
        self.names[token.text] = None
        return Name(token.text)

    def call(self, token: Token) -> Call:
        function = FUNCTIONS.get(token.text)
        if function is None:
            raise Mistake(
                f"there is no function {token.text!r}; there are {', '.join(FUNCTIONS)}",
                self.source,
                token.start,
                self.end,
            )
        self.expect("(")
        arguments: list[Node] = []
        for number, type_ in enumerate(function.takes):
            if number:
                self.expect(",")
            arguments.append(self.deeper(partial(self.typed, self.condition, type_)))
        self.expect(")")
        return Call(self.since(token.start), token.text, tuple(arguments))

    def options(self, part: Node) -> tuple[Constant, ...]:
        start = self.next.start
        self.expect("[")
        found: list[Constant] = []
        while not found or self.taken(","):
            node = self.factor() if self.next.kind in ("-", "number", "text") else None
            if not isinstance(node, Constant):
                raise self.mistake("a number or a quoted text should stand here")
            found.append(node)
        self.expect("]")
        types = {option.type for option in found} | ({part.type} - {"score"})
        if len(types) > 1 or part.type == "condition":
            raise Mistake(
                "what is looked for and what is listed must be all numbers or all texts", self.source, start, self.end
            )
        return tuple(found)

    # --- moving along

    @property
    def next(self) -> Token:
        return self.tokens[self.place]

    @property
    def end(self) -> int:
        """Where the last token that was taken ends."""
        last = self.tokens[self.place - 1]
        return last.start + len(last.text)

    def take(self) -> Token:
        token = self.next
        self.place += 1
        return token

    def taken(self, kind: str) -> bool:
        """Take the next token if it is of that kind."""
        if self.next.kind != kind:
            return False
        self.place += 1
        return True

    def expect(self, kind: str) -> None:
        if not self.taken(kind):
            raise self.mistake(f"{kind} should stand here")

    def deeper(self, rule: Callable[[], Node]) -> Node:
        if self.depth == MAX_DEPTH:
            raise self.mistake(f"nested more than {MAX_DEPTH} deep")
        self.depth += 1
        node = rule()
        self.depth -= 1
        return node

    def typed(self, rule: Callable[[], Node], type_: Type) -> Node:
        start = self.next.start
        node = rule()
        self.check(node, type_, start, self.end)
        return node

    def check(self, node: Node, wanted: Type, start: int, end: int) -> None:
        if node.type not in (wanted, "score"):
            raise Mistake(f"this is {CALLED[node.type]}, where {CALLED[wanted]} should stand", self.source, start, end)

    def since(self, start: int) -> str:
        return self.source[start : self.end]

    def mistake(self, what: str) -> Mistake:
        token = self.next
        return Mistake(what, self.source, token.start, token.start + max(len(token.text), 1))
