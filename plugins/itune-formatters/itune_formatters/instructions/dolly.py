"""Databricks Dolly rows: an instruction, a context that may be empty, the response, and a category."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from itune_core.api import Row, RowError
from itune_formatters.building.instance import Instance
from itune_formatters.building.instruction import InstructionFormatter
from itune_formatters.rest import rest

LAYOUTS = {"databricks": ("context", "response"), "renamed": ("input", "output")}
"""Layout name to what it calls the context and the response."""


class Dolly(InstructionFormatter):
    """databricks-dolly-15k, one conversation of two turns a row.

    Fields: `instruction`, `context` (may be missing or empty), `response`, `category`; every other field is kept (see
    :mod:`itune_formatters.rest`). A common re-export calls the context `input` and the response `output`; which of the
    two layouts a file has is said, not guessed: a row of the other layout, or of both, fails. Text is taken as it is,
    the marks of Wikipedia's footnotes (``[42]``) included.

    Dropped: ``empty-instruction``, ``empty-output``.

    Source: https://huggingface.co/datasets/databricks/databricks-dolly-15k (CC BY-SA 3.0).
    """

    class Config(InstructionFormatter.Config):
        layout: Literal["databricks", "renamed"] = Field(
            "databricks", description="databricks: fields `context` and `response`; renamed: `input` and `output`."
        )

    def instance(self, row: Row) -> Instance:
        self._check_layout(row)
        context, response = LAYOUTS[self.config.layout]
        given = row.text(context, "")
        common = rest(row, "instruction", context, response)
        return Instance(row.text("instruction"), row.text(response), given if given.strip() else "", common=common)

    def _check_layout(self, row: Row) -> None:
        (other,) = LAYOUTS.keys() - {self.config.layout}
        foreign = [field for field in LAYOUTS[other] if field in row]
        if foreign:
            raise RowError(
                f"layout is {self.config.layout!r}, but the row has {foreign}",
                "E-FORMAT-002",
                why=f"{foreign[0]!r} belongs to the layout {other!r}",
                fix=f"set layout: {other}",
            )
