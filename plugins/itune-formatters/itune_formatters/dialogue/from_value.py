"""Turns as ShareGPT writes them, ``{from, value}``, to messages as records hold them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from itune_core.api import RowError, message
from itune_formatters.dialogue.turns import Turns
from itune_formatters.rest import as_json

Part = Literal["system", "user", "assistant", "call", "tool"]
"""What a turn is: a role of records, or a call of tools, which records hold as a turn of the assistant."""

PARTS: Mapping[str, Part] = {
    "system": "system",
    "human": "user",
    "user": "user",
    "prompter": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "function_call": "call",
    "tool_call": "call",
    "observation": "tool",
    "function_response": "tool",
    "tool_response": "tool",
    "function": "tool",
    "tool": "tool",
}
"""What the names under `from` mean, in the sets of this shape."""


def read_from_value(field: str, value: object, parts: Mapping[str, Part] = PARTS) -> Turns:
    """Read a list of turns of the form ``{from, value}``; `train` may be there, as in ``formatters/messages``.

    The `value` of a call is ``{"name", "arguments"}`` or a list of these, as JSON text or as it is. It becomes a turn
    of the assistant with `tool_calls` in OpenAI's shape and no content.

    Args:
        field: its name, for errors.
        value: the list.
        parts: what each name under `from` means.

    Raises:
        RowError: ``E-FORMAT-010`` it is not a list of objects, or is empty; ``E-FORMAT-011`` an unknown name under
            `from`; ``E-FORMAT-044`` a call is none; ``E-DATA-010`` a value is not text.
    """
    if not isinstance(value, list) or not value:
        found = "empty" if value == [] else type(value).__name__
        raise RowError(f"field {field!r} must be a list of turns; it is {found}", "E-FORMAT-010")
    turns = Turns([], {})
    for number, turn in enumerate(value):
        made, extra = read_turn(f"{field}[{number}]", turn, parts)
        turns.messages.append(made)
        if extra:
            turns.extra[str(number)] = extra
    return turns


def read_turn(where: str, turn: object, parts: Mapping[str, Part] = PARTS) -> tuple[dict[str, Any], dict[str, Any]]:
    """One turn, and its fields that a message has no place for. Raises as :func:`read_from_value`."""
    if not isinstance(turn, Mapping):
        raise RowError(f"{where} must be an object, not {type(turn).__name__}", "E-FORMAT-010")
    name = turn.get("from")
    part = parts.get(name) if isinstance(name, str) else None
    if part is None:
        if name is None and "role" in turn:
            fix = "formatters/messages reads {role, content}"
        else:
            fix = f"known are {', '.join(parts)}; the setting `roles` of formatters/sharegpt names others"
        raise RowError(f"{where} is from {name!r}", "E-FORMAT-011", fix=fix)
    extra = {key: item for key, item in turn.items() if key not in ("from", "value", "train") and item is not None}
    train, content = turn.get("train"), turn.get("value")
    if part == "call":
        return message("assistant", "", tool_calls=_calls(where, content), train=train), extra
    return message(part, content, train=train), extra  # type: ignore[arg-type]  # checked there


def _calls(where: str, value: object) -> str:
    why = None
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError) as error:
        found, why = None, str(error)
    calls: list[Any] = found if isinstance(found, list) else [found]
    if not calls or not all(isinstance(call, Mapping) and isinstance(call.get("name"), str) for call in calls):
        raise RowError(
            f"{where} calls no tool",
            "E-FORMAT-044",
            why=why,
            fix='write {"name": ..., "arguments": {...}}, or a list of these, as JSON',
        )
    return as_json([{"type": "function", "function": dict(call)} for call in calls])
