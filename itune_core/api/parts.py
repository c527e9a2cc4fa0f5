"""What was asked and what was answered, whatever the kind of record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from itune_core.api.records import Kind, Record, message

if TYPE_CHECKING:
    from itune_core.api.asking import Message


class Parts(NamedTuple):
    """A record taken apart.

    Attributes:
        prompt: the turns that lead up to the answer; none in a text record.
        responses: the answers, each a list of turns: one of a conversation (its last turn) and of feedback, chosen and
            rejected of a preference, every candidate of a ranking, none of a prompt.
    """

    prompt: Sequence[Message]
    responses: Sequence[Sequence[Message]]


def parts(record: Record) -> Parts:
    """Take `record` apart. The text of a text record is one response, every token of which is trained on."""
    match record.kind:
        case Kind.CONVERSATION:
            return Parts(record["messages"][:-1], [record["messages"][-1:]])
        case Kind.PROMPT:
            return Parts(record["prompt"], [])
        case Kind.PREFERENCE:
            return Parts(record["prompt"], [record["chosen"], record["rejected"]])
        case Kind.RANKING:
            return Parts(record["prompt"], [candidate["completion"] for candidate in record["candidates"]])
        case Kind.FEEDBACK:
            return Parts(record["prompt"], [record["completion"]])
        case Kind.TEXT:
            return Parts([], [[message("assistant", record["text"])]])
