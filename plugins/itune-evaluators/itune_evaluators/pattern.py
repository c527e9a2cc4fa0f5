"""The share of a model's answers that satisfy a regular expression."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from functools import cached_property
from typing import Any

from pydantic import Field, field_validator

from itune_core.api import Answer, Ask, Evaluator, Input, Kind, Record, RowError, spoken
from itune_evaluators.intervals import wilson

SECONDS = 2.0
"""Longest search of one answer. A sound pattern takes microseconds; one that backtracks without end, for ever."""


class Pattern(Evaluator):
    r"""Ask each model every prompt, and report the share of answers that a regular expression finds something in.

    For what can be checked by its form: a house style, a required section, a yes-or-no answer, a refusal. The
    expression is searched for anywhere in the answer; anchor it with ``\A`` and ``\Z`` to match the whole, and set
    flags inside it: ``(?i)``, ``(?s)``. Syntax is that of Python's ``re``, with the additions of the `regex` package,
    which is used because its searches can be stopped: an answer that takes longer than two seconds fails with
    ``E-EVAL-002``; it neither hangs the run nor counts as a miss.

    What a reasoning model thinks first is not searched, and is no part of the answer; a thought without an end fails
    (``E-MODEL-020``).

    Figures of a model: ``share``; ``share_low`` and ``share_high``, its 95 % Wilson interval; ``matched`` of
    ``examples``; and ``unfinished``, how many answers hit ``max_tokens``. Those are searched like any other: a pattern
    about an answer's end then does not match.

    Source: this package; the interval is Wilson's (1927), see :func:`itune_evaluators.intervals.wilson`.
    """

    inputs = {"records": Input((Kind.PROMPT,))}

    class Config(Evaluator.Config):
        pattern: str = Field(
            min_length=1, examples=["(?m)^- "], description="Regular expression to search each answer for."
        )
        max_tokens: int = Field(256, ge=1, description="Most new tokens of an answer.")
        temperature: float = Field(0.0, ge=0, description="Sampling temperature; 0 is greedy.")
        top_p: float = Field(1.0, gt=0, le=1, description="Nucleus mass to sample from.")
        stop: list[str] = Field([], description="Strings that end an answer; not part of it.")

        @field_validator("pattern")
        @classmethod
        def _compiles(cls, pattern: str) -> str:
            import regex  # type: ignore[import-untyped]

            try:
                regex.compile(pattern)
            except regex.error as error:
                place = "" if error.pos is None else f" at character {error.pos + 1}"
                raise ValueError(f"not a regular expression: {error.msg}{place}") from error
            return pattern

    @cached_property
    def _expression(self) -> Any:
        import regex

        return regex.compile(self.config.pattern)

    def evaluate(self, record: Record, model: str) -> Generator[Any, Any, Mapping[str, Any]]:
        """Ask `model` and search its answer.

        Returns:
            ``answer``, ``matched``, and ``finish``: ``stop`` or ``length``.

        Raises:
            RowError: ``E-EVAL-002`` the search did not end in time; ``E-MODEL-020`` a thought has no end.
        """
        settings = self.config
        reply: Answer = yield Ask(
            model,
            record["prompt"],
            max_tokens=settings.max_tokens,
            temperature=settings.temperature,
            top_p=settings.top_p,
            stop=tuple(settings.stop),
        )
        said = spoken(*reply.completions)
        try:
            found = self._expression.search(said.text, timeout=SECONDS)
        except TimeoutError as error:
            raise RowError(
                f"searching an answer of {len(said.text)} characters took longer than {SECONDS:g} s",
                "E-EVAL-002",
                why="the pattern backtracks: nested repetitions such as (a+)+ try every way to split the text",
                fix="rewrite the pattern so that each character can be matched in one way only",
            ) from error
        return {"answer": said.text, "matched": found is not None, "finish": said.finish}

    def summarise(self, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, float]:
        """The figures of one model."""
        matched = sum(row["matched"] for row in rows)
        low, high = wilson(matched, len(rows))
        return {
            "share": matched / len(rows),
            "share_low": low,
            "share_high": high,
            "matched": matched,
            "examples": len(rows),
            "unfinished": sum(row["finish"] == "length" for row in rows),
        }
