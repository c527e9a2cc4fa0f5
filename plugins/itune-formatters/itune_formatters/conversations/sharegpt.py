"""ShareGPT rows: a conversation as a list of {from, value}."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field

from itune_core.api import Drop, Formatter, Kind, Record, Row, RowError, conversation, message
from itune_formatters.dialogue.from_value import PARTS, Part, read_from_value
from itune_formatters.dialogue.turn_order import mended, misplaced
from itune_formatters.rest import rest

CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)
HTML = re.compile(
    r"</?(?:a|br|button|code|div|em|h[1-6]|img|li|ol|p|path|pre|span|strong|svg|table|tbody|td|th|thead|tr|ul)\b"
    r"[^<>]*>|&(?:nbsp|amp|lt|gt|quot|#39|#x27);",
    re.IGNORECASE,
)
"""Tags and entities that are left of a scraped page."""


class ShareGPT(Formatter):
    """Conversations in the shape of ShareGPT and Vicuna, one a row.

    Fields: `conversations`, a list of ``{from, value}`` (see :mod:`itune_formatters.dialogue.from_value`), and
    `system`, which may be there in place of a first turn of the system. Every other field is kept (`id`, or the JSON
    text `tools`; see :mod:`itune_formatters.rest`), as are other fields of a turn, by its number in the row.

    Turns of the user and the assistant alternate, the user begins; a call of tools is followed by their results, these
    by an answer or another call. With ``order: repair`` a row that breaks this is mended: turns before the first of the
    user and after the last of the assistant are removed, neighbours of one role joined by a blank line. What was done
    is counted in ``meta``, ``{"repairs": {"removed_before": 1, "removed_after": 1, "joined": 2}}``. A system turn that
    is blank counts as none.

    Dropped: ``no-answer`` (the last turn is not the assistant's), ``turns-out-of-order``, ``empty-turn``, and
    ``html`` (an answer holds tags or entities of the page it was scraped from, outside of code).

    Source: https://github.com/lm-sys/FastChat (data/dummy_conversation.json); tool turns as in
    https://github.com/hiyouga/LLaMA-Factory (data/README.md).
    """

    produces = Kind.CONVERSATION

    class Config(Formatter.Config):
        column: str = Field("conversations", description="The field that holds the list of turns.")
        roles: dict[str, Part] = Field(
            {}, description="What other names under `from` mean, as name: part; they come before those that are known."
        )
        order: Literal["refuse", "repair"] = Field(
            "refuse",
            description="What becomes of turns out of order. refuse: the row is dropped; repair: it is mended.",
        )
        html: Literal["drop", "keep"] = Field("drop", description="What becomes of answers with HTML outside of code.")

    def format(self, row: Row) -> Record | Drop:
        field = self.config.column
        turns = read_from_value(field, row.get(field), {**PARTS, **self.config.roles})
        messages = [*_system(row, turns.messages), *turns.messages]
        messages = [turn for turn in messages if turn["role"] != "system" or turn["content"].strip()]
        for number, turn in enumerate(messages):
            if turn["role"] != "tool" and not turn["content"].strip() and turn["tool_calls"] is None:
                return Drop("empty-turn", f"turn {number + 1} of {len(messages)}, the {turn['role']}'s")
        more: dict[str, Any] = {field: turns.extra or None, "system": None}
        if self.config.order == "repair":
            messages, repairs = mended(messages)
            if repairs:
                more["repairs"] = repairs
        if not messages or messages[-1]["role"] != "assistant":
            return Drop("no-answer", f"the last turn is the {messages[-1]['role']}'s" if messages else "")
        wrong = misplaced(messages)
        if wrong is not None:
            before = messages[wrong - 1]["role"] if wrong else "nothing"
            return Drop("turns-out-of-order", f"turn {wrong + 1}: {messages[wrong]['role']} after {before}")
        if self.config.html == "drop" and (found := _html(messages)):
            return Drop("html", found)
        return conversation(messages, **rest({**row, **more}))


def _system(row: Row, turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    given = row.text("system", "")
    if given.strip() and turns[0]["role"] == "system" and turns[0]["content"].strip():
        raise RowError(
            "the row has a field 'system' and begins with a turn of the system",
            "E-FORMAT-045",
            fix="remove one of them",
        )
    return [message("system", given)]


def _html(messages: list[dict[str, Any]]) -> str | None:
    """The first trace of HTML in an answer."""
    for turn in messages:
        if turn["role"] == "assistant" and (found := HTML.search(CODE.sub("", turn["content"]))):
            return found[0]
    return None
