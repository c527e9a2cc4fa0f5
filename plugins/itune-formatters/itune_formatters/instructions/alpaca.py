"""Alpaca rows: an instruction, an input that may be empty, and the output."""

from __future__ import annotations

import re

from itune_core.api import Drop, Row
from itune_formatters.building.instance import Instance
from itune_formatters.building.instruction import InstructionFormatter
from itune_formatters.rest import rest

NO_INPUT = re.compile(r"[\W_]*no[\s-]?input(\s(required|needed))?[\W_]*", re.IGNORECASE)
"""What the model that wrote the rows put where a task needs no input, in all spellings of the original file:
``<noinput>``, ``No input.``, ``"<noinput>"``, ``(no input)``, ``No input required``. Nothing else may stand there."""

NO_OUTPUT = re.compile(r"<no\s?(in|out)put>", re.IGNORECASE)
"""What it wrote for an answer it could not give: a drawing, a song."""


class Alpaca(InstructionFormatter):
    """Stanford Alpaca and the many sets of its shape, one conversation of two turns a row.

    Fields: `instruction`, `input` (may be missing, empty, or say that there is none) and `output`; every other field is
    kept (see :mod:`itune_formatters.rest`). Text is taken as it is, without stripping. Alpaca's own prompt has one form
    for rows with an input and one for rows without; so has every frame (see :mod:`itune_formatters.building.frame`),
    and ``frame: {style: headed}`` gives its headings.

    Dropped: ``empty-instruction``, ``empty-output``, and ``placeholder-output`` where the output is ``<nooutput>`` or
    ``<noinput>``.

    Source: https://github.com/tatsu-lab/stanford_alpaca (rows CC BY-NC 4.0).
    """

    def instance(self, row: Row) -> Instance | Drop:
        return alpaca_instance(row)


def alpaca_instance(row: Row, no_input: re.Pattern[str] = NO_INPUT) -> Instance | Drop:
    """The parts of a row of Alpaca's shape.

    Args:
        row: the raw row.
        no_input: what stands for an input that is not there.

    Raises:
        RowError: ``E-DATA-002``, ``E-DATA-003`` a field is missing or no text.
    """
    instruction, output = row.text("instruction"), row.text("output")
    given = row.text("input", "")
    if NO_OUTPUT.fullmatch(output.strip()) and instruction.strip():
        return Drop("placeholder-output", output.strip())
    if not given.strip() or no_input.fullmatch(given):
        given = ""
    return Instance(instruction, output, given, common=rest(row, "instruction", "input", "output"))
