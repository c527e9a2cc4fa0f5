"""Rows that hold a question and no answer."""

from __future__ import annotations

from pydantic import Field

from itune_core.api import Drop, Formatter, Kind, Record, Row, prompt
from itune_formatters.dialogue.turns import read_turns_or_text
from itune_formatters.rest import rest


class Prompts(Formatter):
    """Questions to generate from, or for online reinforcement learning: one prompt a row.

    Reads one field: text, which becomes one user turn, or a list of messages whose last is the user's (see
    :mod:`itune_formatters.dialogue.turns`). Every other field is kept (see :mod:`itune_formatters.rest`): reference
    answers belong under `references`, a list of texts.

    Dropped: ``already-answered`` (the last turn is not the user's: ``formatters/messages`` reads conversations, which
    the core casts to prompts where a step wants them), ``empty-prompt``.

    Source: the `prompt` column of TRL's data sets, https://huggingface.co/docs/trl/dataset_formats.
    """

    produces = Kind.PROMPT

    class Config(Formatter.Config):
        column: str = Field("prompt", description="The field that holds the question: text or a list of messages.")

    def format(self, row: Row) -> Record | Drop:
        field = self.config.column
        turns = read_turns_or_text(row, field, "user")
        last = turns.messages[-1]
        if last["role"] != "user":
            return Drop("already-answered", f"the last turn is of the {last['role']}")
        if not last["content"].strip():
            return Drop("empty-prompt")
        return prompt(turns.messages, **rest({**row, field: turns.extra or None}))
