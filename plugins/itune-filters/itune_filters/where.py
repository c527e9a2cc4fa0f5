"""Keep the records of which an expression is true."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from itune_core.api import ComponentConfig, Drop, Filter, Keep, Message, Record, RowError, parts
from itune_filters.expressions.grammar import parse
from itune_filters.expressions.tokens import MAX_CHARACTERS, Mistake
from itune_filters.scores.columns import value

LONGEST = 300
"""Characters of an explanation."""


def _is_expression(source: str) -> str:
    try:
        parse(source)
    except Mistake as mistake:
        raise ValueError(f"an expression ({mistake})") from mistake
    return source


class Where(Filter):
    """Keep the records of which an expression over columns is true: ``score.ifd <= 1 and words(response) >= 3``.

    The expression is parsed by a grammar of its own and never handed to Python; it has no attributes, loops, powers or
    regular expressions, at most 1,000 characters, and takes time in proportion to its length and the record's. It has

    - numbers, and texts in single or double quotes (with the escapes ``\\\\``, ``\\"``, ``\\'``, ``\\n`` and ``\\t``);
    - score columns, ``score.STEP`` and ``score.STEP.PART``, of whatever type they are;
    - the columns ``id``, ``source``, ``task``, ``category``, ``language`` and ``license``;
    - ``prompt``, the text before the answer; ``response``, the answer; ``all`` of it; turns are joined by new lines.
      Of a record with several answers (a preference, a ranking) an expression that names ``response`` must be true for
      each of them;
    - ``characters(x)`` and ``words(x)`` of a text (words are runs without white space), ``lower(x)``, and
      ``contains(x, "part")``;
    - ``+ - * /``; comparisons, also chained (``0.5 < score.ifd <= 1``), of texts only with ``==`` and ``!=``;
      ``x in ["a", "b"]`` and ``x not in [...]``; ``not``, ``and``, ``or`` and parentheses.

    What an expression cannot be is found before any record is read, with the place marked. A column that it names and
    that is null, or NaN, fails the record (``E-FILTER-010``), wherever it stands in the expression: what is not known
    is neither false nor true. So does one that holds something of another type (``E-FILTER-011``), a quotient by 0 or
    another result that is no finite number (``E-FILTER-012``), and a record that lacks the part that is named
    (``E-FILTER-013``).

    Dropped: ``where``, with the part of the expression that is false and its values: ``score.ifd is 1.31, not <= 1``.

    Source: this package.
    """

    class Config(ComponentConfig):
        keep: Annotated[str, AfterValidator(_is_expression)] = Field(
            description=f"The expression that is true of records to keep; at most {MAX_CHARACTERS} characters.",
            examples=["words(response) >= 3 and language == 'en'"],
        )

    def reads(self) -> Sequence[str]:
        return parse(self.config.keep).scores

    def decide(self, record: Record) -> Keep | Drop:
        """Keep it if the expression is true for each of its answers, or for the record if it names none.

        Raises:
            RowError: ``E-FILTER-010`` a column is null; ``E-FILTER-011`` or holds something else than is needed;
                ``E-FILTER-012`` something cannot be computed; ``E-FILTER-013`` there is no prompt, or no answer.
            DataError: ``E-FILTER-014`` the data set has no such column.
        """
        expression = parse(self.config.keep)
        prompt, responses = parts(record)
        values: dict[str, Any] = {}
        for name in expression.names:
            if name == "all":
                values[name] = _text([turn for turns in (prompt, *responses) for turn in turns])
            elif name in ("prompt", "response"):
                if not (prompt if name == "prompt" else responses):
                    raise RowError(f"a {record.kind.value} record has no {name}", "E-FILTER-013")
                values[name] = _text(prompt)
            else:
                values[name] = value(record, name)
        answers = [_text(response) for response in responses] if "response" in expression.names else [None]
        for number, answer in enumerate(answers, start=1):
            values["response"] = answer
            if not expression.holds(values):
                said = expression.why(values)
                several = f" (answer {number} of {len(answers)})" if len(answers) > 1 else ""
                return Drop("where", (said if len(said) <= LONGEST else f"{said[: LONGEST - 3]}...") + several)
        return Keep()


def _text(turns: Sequence[Message]) -> str:
    return "\n".join(turn["content"] for turn in turns)
