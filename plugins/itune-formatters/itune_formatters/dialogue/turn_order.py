"""The order of turns in a conversation: what may follow what, and what can be mended."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from itertools import dropwhile
from typing import Any

Message = dict[str, Any]

AFTER: dict[str, tuple[str | None, ...]] = {
    "system": (None,),
    "user": (None, "system", "assistant"),
    "assistant": ("user", "tool"),
    "call": ("user", "tool"),
    "tool": ("call", "tool"),
}
"""What a turn may come after; None: it is the first. A `call` is a turn of the assistant that calls tools."""


def part(turn: Message) -> str:
    """The role of a turn, or ``"call"``."""
    return "call" if turn["tool_calls"] is not None else str(turn["role"])


def misplaced(turns: Sequence[Message]) -> int | None:
    """Number of the first turn that may not stand where it does, from 0; None: all may."""
    before = None
    for number, turn in enumerate(turns):
        if before not in AFTER.get(part(turn), ()):
            return number
        before = part(turn)
    return None


def mended(turns: Sequence[Message]) -> tuple[list[Message], dict[str, int]]:
    """The turns from the first of the user to the last of the assistant, neighbours of one role joined.

    System turns at the beginning stay. Two turns are joined by a blank line; a call joins what the assistant says
    before it, and another call. Results of tools are not joined, nor turns of which only one is to be trained on.

    Returns:
        The turns, and how many were ``removed_before``, ``removed_after`` and ``joined``. Nothing mends the rest: see
        :func:`misplaced`.
    """
    opening = []
    rest = list(turns)
    while rest and rest[0]["role"] == "system":
        opening.append(rest.pop(0))
    done: Counter[str] = Counter()
    asked = list(dropwhile(lambda turn: turn["role"] != "user", rest))
    done["removed_before"] = len(rest) - len(asked)
    kept = asked
    while kept and kept[-1]["role"] != "assistant":
        kept = kept[:-1]
    done["removed_after"] = len(asked) - len(kept)
    made: list[Message] = []
    for turn in [*opening, *kept]:
        made.append(turn)
        while len(made) > 1 and _of_one_kind(made[-2], made[-1]):  # what is joined may join what stands before
            made[-2:] = [_joined(made[-2], made[-1])]
            done["joined"] += 1
    return made, {name: count for name, count in done.items() if count}


def _of_one_kind(one: Message, other: Message) -> bool:
    said = part(one), part(other)
    return one["train"] == other["train"] and (
        said in (("assistant", "call"), ("call", "call")) or (said[0] == said[1] and said[0] not in ("tool", "call"))
    )


def _joined(one: Message, other: Message) -> Message:
    content = "\n\n".join(text for text in (one["content"], other["content"]) if text)
    calls = [turn["tool_calls"] for turn in (one, other) if turn["tool_calls"] is not None]
    if len(calls) > 1:
        calls = [json.dumps([call for text in calls for call in json.loads(text)], ensure_ascii=False)]
    return {**one, "content": content, "tool_calls": calls[0] if calls else None}
