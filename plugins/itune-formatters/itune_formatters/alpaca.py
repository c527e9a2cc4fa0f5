"""Alpaca rows: an instruction, an input that may be empty, and the output."""

from __future__ import annotations

import re
from string import Formatter as Template

from pydantic import Field, field_validator

from itune_core.api import Drop, Formatter, Kind, Record, Row, conversation, message
from itune_formatters.rest import rest

NO_INPUT = re.compile(r"[\W_]*no[\s-]?input(\s(required|needed))?[\W_]*", re.IGNORECASE)
"""What the model that wrote the rows put where a task needs no input, in all spellings of the original file:
``<noinput>``, ``No input.``, ``"<noinput>"``, ``(no input)``, ``No input required``. Nothing else may stand there."""

NO_OUTPUT = re.compile(r"<no\s?(in|out)put>", re.IGNORECASE)
"""What it wrote for an answer it could not give: a drawing, a song."""


class Alpaca(Formatter):
    """Stanford Alpaca and the many sets of its shape, one conversation of two turns a row.

    Fields: `instruction`, `input` (may be missing, empty, or say that there is none) and `output`; every other field is
    kept (see :mod:`itune_formatters.rest`). The prompt that Alpaca was trained with is no part of the data: that is a
    chat template's work. Text is taken as it is, without stripping.

    Dropped: ``empty-instruction``, ``empty-output``, and ``placeholder-output`` where the output is ``<nooutput>`` or
    ``<noinput>``.

    Source: https://github.com/tatsu-lab/stanford_alpaca (rows CC BY-NC 4.0).
    """

    produces = Kind.CONVERSATION

    class Config(Formatter.Config):
        input_template: str = Field(
            "{instruction}\n\n{input}",
            description="How the user turn joins {instruction} and {input}; without input it is the instruction alone.",
        )

        @field_validator("input_template")
        @classmethod
        def _holds_both(cls, template: str) -> str:
            # Bare fields only: a template must neither reach into what it is given nor cut it ({input:.5}).
            fields = [part[1:] for part in Template().parse(template) if part[1] is not None]
            if sorted(fields) != [("input", "", None), ("instruction", "", None)]:
                raise ValueError("must hold {instruction} and {input}, once each, and nothing else in braces")
            return template

    def format(self, row: Row) -> Record | Drop:
        instruction, output = row.text("instruction"), row.text("output")
        given = row.text("input", "")
        if not instruction.strip():
            return Drop("empty-instruction")
        if not output.strip():
            return Drop("empty-output")
        if NO_OUTPUT.fullmatch(output.strip()):
            return Drop("placeholder-output", output.strip())
        if given.strip() and not NO_INPUT.fullmatch(given):
            instruction = self.config.input_template.format(instruction=instruction, input=given)
        turns = [message("user", instruction), message("assistant", output)]
        return conversation(turns, **rest(row, "instruction", "input", "output"))
