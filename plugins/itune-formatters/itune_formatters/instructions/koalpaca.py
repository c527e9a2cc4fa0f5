"""KoAlpaca rows: Alpaca in Korean, as fields or as one text below Korean headings."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Literal

from pydantic import Field

from itune_core.api import Drop, Row, RowError
from itune_formatters.building.frame import KoreanFrame
from itune_formatters.building.instance import Instance
from itune_formatters.building.instruction import InstructionFormatter
from itune_formatters.instructions.alpaca import NO_INPUT, alpaca_instance
from itune_formatters.instructions.headings import Part, read_headed
from itune_formatters.rest import rest

NO_INPUT_KO = re.compile(rf"{NO_INPUT.pattern}|[\W_]*(입력\s?없음|노인\s?입력)[\W_]*", re.IGNORECASE)
"""The English spellings, which translation left alone in places; ``입력 없음`` ("no input"); and ``<노인입력>``, what a
translator made of ``<noinput>`` ("input of an old person")."""

HEADINGS: dict[str, Part] = {"질문": "instruction", "맥락": "input", "답변": "output"}
END = "<|endoftext|>"


class KoAlpaca(InstructionFormatter):
    """KoAlpaca 1.0 and 1.1, one conversation of two turns a row; labels are Korean unless the frame says otherwise.

    `layout: fields`: `instruction`, `input` (may be missing, null, empty, or say that there is none, in English or
    Korean) and `output`, which both versions have; version 1.1 adds `url`. `layout: text`: one field `text` that holds
    ``### 질문:``, perhaps ``### 맥락:``, and ``### 답변:`` and ends with ``<|endoftext|>``, as version 1.1 is published
    for training; a text of any other build fails with ``E-FORMAT-030``. Every other field is kept (see
    :mod:`itune_formatters.rest`), and a record's `language` is ``ko`` where the row does not say it.

    Dropped: ``empty-instruction``, ``empty-output``, ``placeholder-output`` (see ``formatters/alpaca``).

    Source: https://github.com/Beomi/KoAlpaca (version 1.0 CC BY-NC 4.0).
    """

    class Config(InstructionFormatter.Config):
        frame: KoreanFrame = Field(KoreanFrame(), description="How the parts of a row are laid out as turns.")
        layout: Literal["fields", "text"] = Field(
            "fields", description="fields: `instruction`, `input`, `output`; text: all in one field `text`."
        )

    def instance(self, row: Row) -> Instance | Drop:
        found = _from_text(row) if self.config.layout == "text" else alpaca_instance(row, NO_INPUT_KO)
        if isinstance(found, Drop):
            return found
        return replace(found, common={"language": "ko", **found.common})


def _from_text(row: Row) -> Instance:
    parts = read_headed(row.text("text"), HEADINGS, end=END)
    if parts.preamble:
        raise RowError("something stands before the first heading", "E-FORMAT-036", why=repr(parts.preamble[:80]))
    return Instance(parts.instruction, parts.output, parts.input, common=rest(row, "text"))
