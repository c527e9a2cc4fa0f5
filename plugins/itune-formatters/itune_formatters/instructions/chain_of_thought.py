"""Questions whose answers are reasoned: chain of thought."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field

from itune_core.api import Drop, Row, RowError
from itune_formatters.building.frame import Frame
from itune_formatters.building.instance import Instance
from itune_formatters.building.instruction import InstructionFormatter
from itune_formatters.rest import rest

CALCULATION = re.compile(r"<<[^<>]*>>")
"""What a calculator would work out and print: ``16/4 = <<16/4=4>>4``."""


class ReasonedFrame(Frame):
    """The same settings; an answer begins with its rationale unless set otherwise."""

    rationale: Literal["apart", "before", "after"] = Field(
        default="before",
        description="Where the rationale of a row goes. before: the answer begins with it; after: the answer is "
        "explained by it; apart: only into the record's column `rationale`.",
    )


class ChainOfThought(InstructionFormatter):
    """Questions with the reasoning that leads to their answers, one conversation a row.

    GSM8K as it is: `question`, and `answer`, which holds the reasoning, ``####`` and the result. Sets that keep the
    reasoning in a field of its own name that field under `rationale`: ``{question: inputs, answer: targets, rationale:
    rationale}`` reads FLAN's, ``{question: source, answer: target, rationale: rationale}`` the CoT Collection. The
    answer alone also stands in the record's `references`, so that a model's result can be compared with it; a row that
    has references keeps its own. Every other field is kept (see :mod:`itune_formatters.rest`).

    Dropped: ``empty-instruction``, ``empty-output``, ``empty-rationale``.

    Source: https://github.com/openai/grade-school-math, arXiv:2110.14168; FLAN's, arXiv:2210.11416; the CoT
    Collection, arXiv:2305.14045.
    """

    class Config(InstructionFormatter.Config):
        frame: ReasonedFrame = Field(ReasonedFrame(), description="How the parts of a row are laid out as turns.")
        question: str = Field("question", description="The field that holds the question.")
        answer: str = Field("answer", description="The field that holds the answer.")
        rationale: str | None = Field(
            None,
            description="The field that holds the reasoning; unset: it stands in the answer, before the separator.",
        )
        separator: str = Field(
            "####", min_length=1, description="What stands between the reasoning and the result in one field."
        )
        calculations: Literal["drop", "keep"] = Field(
            "drop", description="What becomes of a calculator's marks in the reasoning, `<<16/4=4>>`."
        )

    def instance(self, row: Row) -> Instance | Drop:
        config = self.config
        question, answer = row.text(config.question), row.text(config.answer)
        if config.rationale is None:
            rationale, answer = self._apart(answer)
        else:
            rationale = row.text(config.rationale)
        if config.calculations == "drop":
            rationale = CALCULATION.sub("", rationale)
        if not rationale.strip():
            return Drop("empty-rationale")
        read = [config.question, config.answer, *([config.rationale] if config.rationale else [])]
        common: dict[str, Any] = {"references": [answer], **rest(row, *read)}
        return Instance(question, answer, rationale=rationale, common=common)

    def _apart(self, answer: str) -> tuple[str, str]:
        """The reasoning and the result; the space around the separator belongs to it."""
        parts = answer.split(self.config.separator)
        if len(parts) != 2:
            raise RowError(
                f"the answer must hold {self.config.separator!r} once, between the reasoning and the result",
                "E-FORMAT-039",
                why=f"it holds it {len(parts) - 1} times",
                fix="set `separator`, or name the field of the reasoning under `rationale`",
            )
        return parts[0].strip(), parts[1].strip()
