"""Messages as other tools write them, to messages as records hold them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from itune_core.api import Row, RowError, message

ROLES = ("system", "developer", "user", "assistant", "tool")
FIELDS = ("role", "content", "name", "tool_calls", "train")
"""The fields of a message that a record holds."""


class Turns(NamedTuple):
    """Messages, and by turn number (from "0") the fields that a record's messages have no place for."""

    messages: list[dict[str, Any]]
    extra: dict[str, dict[str, Any]]


def read_turns(field: str, value: object) -> Turns:
    """Read a list of messages in OpenAI's shape.

    Each is an object with `role` (one of :data:`ROLES`) and `content`; `name`, `tool_calls` and `train` (whether the
    turn is trained on) may be there. `tool_calls` is a list, or that list as JSON text, and is kept as JSON text;
    `content` may be null beside it and is then the empty text.

    Raises:
        RowError: ``E-FORMAT-010`` it is not a list of objects, or is empty; ``E-FORMAT-011`` an unknown role;
            ``E-FORMAT-012`` `tool_calls` is no list of objects; ``E-DATA-010`` a field has the wrong type.
    """
    if not isinstance(value, list) or not value:
        found = "empty" if value == [] else type(value).__name__
        raise RowError(f"field {field!r} must be a list of messages; it is {found}", "E-FORMAT-010")
    turns = Turns([], {})
    for number, turn in enumerate(value):
        where = f"{field}[{number}]"
        if not isinstance(turn, Mapping):
            raise RowError(f"{where} must be an object, not {type(turn).__name__}", "E-FORMAT-010")
        turns.messages.append(_message(where, turn))
        extra = {name: item for name, item in turn.items() if name not in FIELDS and item is not None}
        if extra:
            turns.extra[str(number)] = extra
    return turns


def read_turns_or_text(row: Row, field: str, role: str) -> Turns:
    """The messages under `field` of a row; a text is one turn of `role`. Raises as :func:`read_turns`."""
    value = row.get(field)
    return read_turns(field, value) if isinstance(value, list) else Turns([message(role, row.text(field))], {})


def _message(where: str, turn: Mapping[str, Any]) -> dict[str, Any]:
    role = turn.get("role")
    if role not in ROLES:
        fix = "ShareGPT's {from, value} is another shape" if role is None else f"write one of {', '.join(ROLES)}"
        raise RowError(f"{where} has the role {role!r}", "E-FORMAT-011", fix=fix)
    tool_calls = _tool_calls(where, turn.get("tool_calls"))
    content = turn.get("content")
    if content is None and tool_calls is not None:
        content = ""
    return message(role, content, name=turn.get("name"), tool_calls=tool_calls, train=turn.get("train"))  # type: ignore[arg-type]  # checked there


def _tool_calls(where: str, value: object) -> str | None:
    if value is None or value == []:
        return None
    try:
        calls = json.loads(value) if isinstance(value, str) else value
        if isinstance(calls, list) and all(isinstance(call, Mapping) for call in calls):
            return value if isinstance(value, str) else json.dumps(calls, ensure_ascii=False, allow_nan=False)
        why = f"it is {type(calls).__name__}"
    except (ValueError, RecursionError) as error:
        why = str(error)
    raise RowError(f"tool_calls of {where} must be a list of objects, or that as JSON text", "E-FORMAT-012", why=why)
