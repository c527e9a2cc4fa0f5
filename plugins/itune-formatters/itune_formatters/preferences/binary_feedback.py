"""Rows that hold one answer and whether it was liked."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from itune_core.api import Drop, Formatter, Kind, Record, Row, feedback
from itune_formatters.dialogue.turns import read_turns, read_turns_or_text
from itune_formatters.rest import rest


class BinaryFeedback(Formatter):
    """Feedback on single answers in TRL's shape (KTO), one a row.

    Fields: `prompt` and `completion`, each text or a list of messages (see :mod:`itune_formatters.dialogue.turns`), and
    `label` (true: a good answer) or `value` (a number: how good), or both. With ``layout: whole`` the list `messages`
    holds prompt and answer, which is its last turn. Every other field is kept (see :mod:`itune_formatters.rest`).

    Dropped: ``no-label`` (neither `label` nor `value` is told), ``no-answer`` (the last turn is not the assistant's),
    ``empty-prompt``, ``empty-output``.

    Source: https://huggingface.co/docs/trl/dataset_formats (unpaired preference), arXiv:2402.01306.
    """

    produces = Kind.FEEDBACK

    class Config(Formatter.Config):
        layout: Literal["separate", "whole"] = Field(
            "separate", description="separate: fields `prompt` and `completion`; whole: both in the list `messages`."
        )

    def format(self, row: Row) -> Record | Drop:
        extra: dict[str, Any]
        if self.config.layout == "whole":
            turns = read_turns("messages", row.get("messages"))
            prompt, completion = turns.messages[:-1], turns.messages[-1:]
            extra = {"messages": turns.extra or None}
        else:
            question, answer = (
                read_turns_or_text(row, "prompt", "user"),
                read_turns_or_text(row, "completion", "assistant"),
            )
            prompt, completion = question.messages, answer.messages
            extra = {"prompt": question.extra or None, "completion": answer.extra or None}
        label, value = row.get("label"), row.get("value")
        if completion[-1]["role"] != "assistant":
            return Drop("no-answer", f"the last turn is of the {completion[-1]['role']}")
        if not prompt or not prompt[-1]["content"].strip():
            return Drop("empty-prompt")
        if not completion[-1]["content"].strip() and completion[-1]["tool_calls"] is None:
            return Drop("empty-output")
        if label is None and value is None:
            return Drop("no-label")
        common = rest({**row, **extra}, "label", "value")
        return feedback(prompt, completion, label=label, value=value, **common)
