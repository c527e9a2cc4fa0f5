"""Japanese sets of Alpaca's kind: as fields, or as one text below Japanese headings."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from pydantic import Field

from itune_core.api import Drop, Row, RowError
from itune_formatters.building.frame import JapaneseFrame
from itune_formatters.building.instance import Instance
from itune_formatters.building.instruction import InstructionFormatter
from itune_formatters.instructions.alpaca import alpaca_instance
from itune_formatters.instructions.headings import Part, read_headed
from itune_formatters.rest import rest

HEADINGS: dict[str, Part] = {"指示": "instruction", "入力": "input", "回答": "output", "応答": "output"}


class JapaneseInstruction(InstructionFormatter):
    """Japanese instructions, one conversation of two turns a row; labels are Japanese unless the frame says otherwise.

    `layout: fields`: `instruction`, `input` (may be missing, null or empty) and `output`, as translations of Alpaca and
    Dolly have them. `layout: text`: one field `text` that holds ``### 指示:``, perhaps ``### 入力:``, and
    ``### 回答:`` or ``### 応答:``, with or without the colon, each text on the line of its heading or the next; a text
    of any other build fails with ``E-FORMAT-030``. Many such texts begin with a sentence that says what follows; what
    becomes of it is set by `preamble`. Every other field is kept (see :mod:`itune_formatters.rest`), and a record's
    `language` is ``ja`` where the row does not say it.

    Dropped: ``empty-instruction``, ``empty-output``, ``placeholder-output`` (see ``formatters/alpaca``).

    Source: https://github.com/masa3141/japanese-alpaca-lora for the fields; the headings are those that Japanese models
    are widely trained with, and no one publication defines them.
    """

    class Config(InstructionFormatter.Config):
        frame: JapaneseFrame = Field(JapaneseFrame(), description="How the parts of a row are laid out as turns.")
        layout: Literal["fields", "text"] = Field(
            "fields", description="fields: `instruction`, `input`, `output`; text: all in one field `text`."
        )
        preamble: Literal["refuse", "system"] = Field(
            "refuse",
            description="What to do with a text before the first heading. refuse: the row fails; system: it becomes "
            "the system turn.",
        )
        end: str = Field("", description="What each text ends with, `</s>` say; it is cut off. Empty: nothing.")

    def instance(self, row: Row) -> Instance | Drop:
        found = self._from_text(row) if self.config.layout == "text" else alpaca_instance(row)
        if isinstance(found, Drop):
            return found
        return replace(found, common={"language": "ja", **found.common})

    def _from_text(self, row: Row) -> Instance:
        parts = read_headed(row.text("text"), HEADINGS, end=self.config.end)
        if parts.preamble and self.config.preamble == "refuse":
            raise RowError(
                "something stands before the first heading",
                "E-FORMAT-036",
                why=repr(parts.preamble[:80]),
                fix="set preamble: system to keep it as the system turn",
            )
        common = rest(row, "text")
        return Instance(parts.instruction, parts.output, parts.input, system=parts.preamble, common=common)
