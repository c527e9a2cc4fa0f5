"""Rows that already hold a conversation as a list of messages."""

from __future__ import annotations

from pydantic import Field

from itune_core.api import Drop, Formatter, Kind, Record, Row, conversation
from itune_formatters.dialogue.turns import read_turns
from itune_formatters.rest import rest


class Messages(Formatter):
    """Chat data in OpenAI's shape, one conversation a row.

    Reads one field, a list of ``{role, content, name, tool_calls, train}`` (see
    :mod:`itune_formatters.dialogue.turns`). What a record's messages have no place for (`tool_call_id`, say) is kept in
    ``meta``, as ``{field: {turn number: {...}}}``; every other field of the row (`tools`, say) is kept too (see
    :mod:`itune_formatters.rest`).

    Dropped: ``no-answer`` (the last turn is not the assistant's: use ``formatters/prompts`` for questions without
    answers), ``empty-output``.

    Source: https://platform.openai.com/docs/guides/supervised-fine-tuning; the field `train` is this project's.
    """

    produces = Kind.CONVERSATION

    class Config(Formatter.Config):
        column: str = Field("messages", description="The field that holds the list of messages.")

    def format(self, row: Row) -> Record | Drop:
        field = self.config.column
        turns = read_turns(field, row.get(field))
        last = turns.messages[-1]
        if last["role"] != "assistant":
            return Drop("no-answer", f"the last turn is of the {last['role']}")
        if not last["content"].strip() and last["tool_calls"] is None:
            return Drop("empty-output")
        return conversation(turns.messages, **rest({**row, field: turns.extra or None}))
