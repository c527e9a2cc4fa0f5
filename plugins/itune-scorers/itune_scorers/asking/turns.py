"""What was asked and what was said, as the text that a judge reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from itune_core.api import Message, Record, RowError, parts


class Exchange(NamedTuple):
    """What a user asked, and what the assistant said before the user's next turn; empty if nothing."""

    query: str
    response: str


def question(record: Record) -> Sequence[Message]:
    """The turns that lead up to the answer.

    Raises:
        RowError: ``E-SCORE-020`` there are none.
    """
    turns = parts(record).prompt
    if not turns:
        raise RowError("no turn precedes the answer", "E-SCORE-020", fix="filter such records out")
    return turns


def response(record: Record) -> str:
    """The text of the (first) answer.

    Raises:
        RowError: ``E-SCORE-023`` it has none.
    """
    return _worded(_text(parts(record).responses[0]))


def exchanges(record: Record) -> list[Exchange]:
    """The record turn by turn: each of the user's, with what the assistant answered.

    Turns of a user without an answer between them are one. System and tool turns are left out, and so is what the
    assistant says before a user has spoken.

    Raises:
        RowError: ``E-SCORE-024`` a user says nothing in it.
    """
    prompt, responses = parts(record)
    found: list[tuple[list[Message], list[Message]]] = []
    for turn in (*prompt, *(responses[0] if responses else ())):
        if turn["role"] == "user":
            if not found or found[-1][1]:
                found.append(([], []))
            found[-1][0].append(turn)
        elif turn["role"] == "assistant" and found:
            found[-1][1].append(turn)
    made = [Exchange(_text(asked), _text(said)) for asked, said in found]
    if not made or not all(exchange.query for exchange in made):
        raise RowError(
            "a user says nothing in it",
            "E-SCORE-024",
            why="a turn has no text" if made else "it has no turn of a user",
            fix="filter such records out",
        )
    return made


def answered(record: Record) -> list[Exchange]:
    """The same, of a record in which every turn of the user is answered.

    Raises:
        RowError: ``E-SCORE-023`` one is not; ``E-SCORE-024`` a user says nothing in it.
    """
    return [Exchange(query, _worded(said)) for query, said in exchanges(record)]


def _worded(text: str) -> str:
    if not text:
        raise RowError(
            "the answer has no text",
            "E-SCORE-023",
            why="it is empty, or a call of a tool",
            fix="filter such records out",
        )
    return text


def _text(turns: Sequence[Message]) -> str:
    return "\n\n".join(turn["content"] for turn in turns if turn["content"].strip())
