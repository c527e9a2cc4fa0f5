"""What a server answered, read strictly: a body of another form is never an empty answer."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, TypeGuard

from itune_backends.remote.complaints import SHOWN
from itune_backends.remote.faults import Fault
from itune_core.api import (
    Answer,
    Ask,
    Completion,
    Embed,
    RowError,
    Spent,
    Vectors,
    thinking,
)

Body = Mapping[str, Any]

MANY = 2**40
"""Tokens that no answer has: a server that says so does not count. The account holds sums below 2**63."""

HALVES = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair, as an answer has it that is cut off in the middle of a character: nothing can store it. Its
place is taken by what tokenizers give for a part of a character."""


def usage(body: Body) -> Spent | None:
    """The tokens that the server counted; None if it did not."""
    counted = body.get("usage")
    if not isinstance(counted, Mapping):
        return None
    read, written = counted.get("prompt_tokens"), counted.get("completion_tokens", 0)
    return Spent(read, written) if _is_count(read) and _is_count(written) else None


def answer(body: Body, ask: Ask) -> Answer:
    """The answer to a question. Where the server counts no tokens, both counts are 0: a prompt never has none.

    Raises:
        Fault: the body has another form.
        RowError: ``E-BACKEND-027`` the answer was withheld, or is something else than text.
    """
    choice = first_choice(body)
    message = choice.get("message")
    if not isinstance(message, Mapping):
        raise Fault("JSON of another form")
    finish, text = choice.get("finish_reason"), message.get("content")
    if isinstance(message.get("refusal"), str) and text is None:
        raise RowError("the model refused to answer", "E-BACKEND-027", why=message["refusal"][:SHOWN])
    if not isinstance(finish, str):
        raise Fault("JSON of another form")
    if finish not in ("stop", "length"):
        raise RowError(
            f"the answer ended as {finish[:SHOWN]!r}",
            "E-BACKEND-027",
            why="what there is of it is not what the model would have said to its end",
        )
    if text is None and finish == "length":  # all of it went into thoughts, which the server keeps apart
        text = ""
    if not isinstance(text, str):
        raise Fault("JSON of another form")
    text = HALVES.sub("\ufffd", text)
    begins = _answer_begins(text) if ask.stop else 0
    cuts = [place for stop in ask.stop if (place := text.find(stop, begins)) >= 0]
    if cuts:  # some servers leave the stop string in
        text, finish = text[: min(cuts)], "stop"
    spent = usage(body) or Spent()
    return Answer([Completion(text, finish, spent.prompt_tokens, spent.completion_tokens)])


def _answer_begins(text: str) -> int:
    """Behind the thought, in which a stop string ends nothing; a thought without an end has no answer behind it."""
    try:
        return len(text) - len(thinking(text).answer)
    except RowError:
        return len(text)


def vectors(body: Body, request: Embed) -> Vectors:
    """Vectors of texts, brought to length 1.

    Raises:
        Fault: the body has another form, or a vector has no direction.
    """
    data = body.get("data")
    if not isinstance(data, list) or len(data) != len(request.texts) or not all(isinstance(d, Mapping) for d in data):
        raise Fault("JSON of another form")
    found: dict[int, list[float]] = {}
    for place, entry in enumerate(data):
        vector, index = entry.get("embedding"), entry.get("index", place)
        if not isinstance(vector, list) or not all(map(is_number, vector)) or not isinstance(index, int):
            raise Fault("JSON of another form")
        length = math.hypot(*vector)
        if not (0 < length < math.inf):
            raise Fault("a vector without direction")
        found[index] = [value / length for value in vector]
    if found.keys() != set(range(len(data))) or len({len(vector) for vector in found.values()}) > 1:
        raise Fault("JSON of another form")
    return Vectors([found[index] for index in range(len(data))])


def first_choice(body: Body) -> Mapping[str, Any]:
    """The first of a body's choices: one is asked for.

    Raises:
        Fault: there is none.
    """
    offered = body.get("choices")
    if not isinstance(offered, list) or not offered or not isinstance(offered[0], Mapping):
        raise Fault("JSON of another form")
    return offered[0]


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MANY


def is_number(value: Any) -> bool:
    """Whether a JSON value is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
