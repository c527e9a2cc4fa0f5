"""ichikara-instruction: Japanese questions and answers written by people."""

from __future__ import annotations

from pydantic import Field

from itune_core.api import Row
from itune_formatters.building.frame import JapaneseFrame
from itune_formatters.building.instance import Instance
from itune_formatters.building.instruction import InstructionFormatter
from itune_formatters.rest import rest


class Ichikara(InstructionFormatter):
    """ichikara-instruction of LIAT and RIKEN AIP, one conversation of two turns a row.

    Fields: `text`, the question, and `output`, the answer; `ID` and every other field is kept (see
    :mod:`itune_formatters.rest`), and a record's `language` is ``ja`` where the row does not say it. Files are JSON
    arrays. A question that several people answered stands in several rows, each of which is a record; as a
    demonstration none of them is shown to another. Labels are Japanese unless the frame says otherwise.

    The set is given out on request, so that this was written from programs that read it, not from the rows: that the
    fields are these is sure, what an `ID` is made of is not, so nothing is read from it.

    Dropped: ``empty-instruction``, ``empty-output``.

    Source: https://liat-aip.sakura.ne.jp/wp/llmのための日本語インストラクションデータ作成/ (the licence comes with
    the rows).
    """

    class Config(InstructionFormatter.Config):
        frame: JapaneseFrame = Field(JapaneseFrame(), description="How the parts of a row are laid out as turns.")

    def instance(self, row: Row) -> Instance:
        return Instance(row.text("text"), row.text("output"), common={"language": "ja", **rest(row, "text", "output")})
