"""Rows that hold a prompt and two answers, of which one is preferred."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from itune_core.api import Drop, Formatter, Kind, Record, Row, RowError, preference
from itune_formatters.dialogue.from_value import read_from_value
from itune_formatters.dialogue.turns import Turns, read_turns, read_turns_or_text
from itune_formatters.rest import rest


class Pairs(Formatter):
    """Preference data in TRL's shape, one preference a row.

    Fields: `prompt`, `chosen`, `rejected`, each text or a list of messages (see
    :mod:`itune_formatters.dialogue.turns`); `probability` (that `chosen` is the better one, in [0, 1]) and `margin` (by
    how much) may be there. Every other field is kept (see :mod:`itune_formatters.rest`).

    With ``layout: whole`` `chosen` and `rejected` are lists of messages that each hold the whole conversation: all but
    the last turn is the prompt and must be the same in both. A field `prompt` may then be missing; where it is text it
    must be the content of one of the shared turns, so that nothing in it is lost. With ``layout: sharegpt`` the prompt
    is the list `conversations` of ``{from, value}``, and `chosen` and `rejected` are one such turn each (see
    :mod:`itune_formatters.dialogue.from_value`). The layout is said, not guessed: an answer that begins with another
    turn than the assistant's fails.

    Dropped: ``empty-prompt``, ``empty-output``, ``equal-responses``, ``prompts-differ``.

    Source: https://huggingface.co/docs/trl/dataset_formats; ``sharegpt`` is the preference layout of
    https://github.com/hiyouga/LLaMA-Factory (data/README.md).
    """

    produces = Kind.PREFERENCE

    class Config(Formatter.Config):
        layout: Literal["separate", "whole", "sharegpt"] = Field(
            "separate",
            description="separate: `chosen` and `rejected` are answers to `prompt`; whole: each holds the whole "
            "conversation, the prompt included; sharegpt: `conversations` and two answers of {from, value}.",
        )

    def format(self, row: Row) -> Record | Drop:
        read = _read_from_value if self.config.layout == "sharegpt" else read_turns_or_text
        chosen, rejected = read(row, "chosen", "assistant"), read(row, "rejected", "assistant")
        extra: dict[str, Any] = {"chosen": chosen.extra or None, "rejected": rejected.extra or None}
        if self.config.layout == "whole":
            prompt, answers = chosen.messages[:-1], (chosen.messages[-1:], rejected.messages[-1:])
            if prompt != rejected.messages[:-1]:
                return Drop("prompts-differ")
            extra["prompt"] = _check_prompt(row, prompt)
        else:
            field = "conversations" if self.config.layout == "sharegpt" else "prompt"
            question = read(row, field, "user")
            prompt, answers = question.messages, (chosen.messages, rejected.messages)
            extra[field] = question.extra or None
            _check_answers(answers, self.config.layout)
        if not prompt or not prompt[-1]["content"].strip():
            return Drop("empty-prompt")
        for name, answer in zip(("chosen", "rejected"), answers, strict=True):
            if not answer[-1]["content"].strip() and answer[-1]["tool_calls"] is None:
                return Drop("empty-output", name)
        if answers[0] == answers[1]:
            return Drop("equal-responses")
        common = rest({**row, **extra}, "probability", "margin")
        return preference(prompt, *answers, probability=row.get("probability"), margin=row.get("margin"), **common)


def _read_from_value(row: Row, field: str, role: str) -> Turns:
    """Turns of the form {from, value} under `field`: a list of them, or one."""
    value = row.get(field)
    return read_from_value(field, [value] if isinstance(value, Mapping) else value)


def _check_answers(answers: tuple[list[dict[str, Any]], ...], layout: str) -> None:
    for name, answer in zip(("chosen", "rejected"), answers, strict=True):
        if answer[0]["role"] != "assistant":
            raise RowError(
                f"{name!r} begins with a turn of the {answer[0]['role']}",
                "E-FORMAT-020",
                why=f"layout is {layout!r}: it should hold the answer alone",
                fix="set layout: whole if it holds the whole conversation",
            )


def _check_prompt(row: Row, prompt: list[dict[str, Any]]) -> dict[str, dict[str, Any]] | None:
    """What the row's own `prompt` holds besides the shared turns."""
    given = row.get("prompt")
    if given is None:
        return None
    own = read_turns("prompt", given) if isinstance(given, list) else None
    if own.messages != prompt if own is not None else given not in _contents(prompt):
        raise RowError(
            "'prompt' is not part of the conversation in 'chosen'",
            "E-FORMAT-021",
            why="layout is 'whole': 'chosen' should hold the prompt too",
            fix="set layout: separate if 'chosen' and 'rejected' are answers alone",
        )
    return own.extra or None if own is not None else None


def _contents(turns: list[dict[str, Any]]) -> list[str]:
    return [turn["content"] for turn in turns]
