"""What was asked and what was answered, whatever the kind of record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from itune_core.api.errors import RowError
from itune_core.api.records import Kind, Record, message

if TYPE_CHECKING:
    from itune_core.api.asking import Message

Part = Literal["prompt", "response", "all"]
"""What of a record is meant: what was asked, all that was answered, or both."""


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


def contents(record: Record, part: Part) -> list[str]:
    """The contents of the turns of `part`, in order; of several answers, all.

    System turns before the answer are left out: what stands before every record of a data set would make all of them
    alike. A text record is its text, whichever part is asked for.

    Raises:
        RowError: ``E-DATA-037`` the record has no such part.
    """
    prompt, responses = parts(record)
    asked = [turn["content"] for turn in prompt if turn["role"] != "system"]
    answered = [turn["content"] for response in responses for turn in response]
    if record.kind is Kind.TEXT:
        return answered
    found = {"prompt": asked, "response": answered, "all": [*asked, *answered]}[part]
    if not found:
        raise RowError(f"a {record.kind.value} record has no {'text' if part == 'all' else part}", "E-DATA-037")
    return found
