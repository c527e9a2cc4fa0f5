"""The texts of a record: what it asks, what it answers, and all of it."""

from __future__ import annotations

from typing import Literal

from itune_core.api import Record, parts

Part = Literal["prompt", "response", "total"]


def texts(record: Record) -> dict[Part, list[str]]:
    """The contents of the turns of each part, in order.

    The prompt is all turns before the answer. The response is the last turn of a conversation, the chosen side of a
    preference, the first candidate of a ranking, the completion of feedback, a text; without an answer it has no turns.
    The total is the prompt and all answers. Roles, tool calls and what a chat template adds are no part of it.
    """
    prompt, responses = parts(record)
    asked, *answers = [[turn["content"] for turn in turns] for turns in (prompt, *responses)]
    return {
        "prompt": asked,
        "response": answers[0] if answers else [],
        "total": [content for contents in (asked, *answers) for content in contents],
    }
