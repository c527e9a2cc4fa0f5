"""LIMA rows: what was said, in turn, without roles."""

from __future__ import annotations

from itune_core.api import Drop, Formatter, Kind, Record, Row, RowError, conversation, message
from itune_formatters.rest import rest


class Lima(Formatter):
    """LIMA and sets of its shape: dialogues of one or more exchanges, one conversation a row.

    Fields: `conversations`, a list of texts that the user and the assistant said in turn, the user first; `source`, the
    site or author, which becomes the record's, and every other field is kept (see :mod:`itune_formatters.rest`). All
    turns of the assistant are trained on. A dialogue has no parts to lay out, so this formatter has no `frame`.

    Dropped: ``no-answer`` where the number of texts is odd: the last is the user's, as in all rows of LIMA's test file,
    or one is missing, and whose the others are is then unknown; ``empty-turn`` where one is blank.

    Source: https://huggingface.co/datasets/GAIR/lima, arXiv:2305.11206.
    """

    produces = Kind.CONVERSATION

    def format(self, row: Row) -> Record | Drop:
        said = row.get("conversations")
        if not isinstance(said, list) or not said or not all(isinstance(text, str) for text in said):
            raise RowError("field 'conversations' must be a list of texts", "E-FORMAT-038")
        if len(said) % 2:
            return Drop("no-answer", f"{len(said)} texts")
        for number, text in enumerate(said):
            if not text.strip():
                return Drop("empty-turn", f"text {number}")
        turns = [message("assistant" if number % 2 else "user", text) for number, text in enumerate(said)]
        return conversation(turns, **rest(row, "conversations"))
