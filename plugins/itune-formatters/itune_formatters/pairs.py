"""Rows that hold a prompt and two answers, of which one is preferred."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from itune_core.api import Drop, Formatter, Kind, Record, Row, RowError, message, preference
from itune_formatters.rest import rest
from itune_formatters.turns import Turns, read_turns


class Pairs(Formatter):
    """Preference data in TRL's shape, one preference a row.

    Fields: `prompt`, `chosen`, `rejected`, each text or a list of messages (see :mod:`itune_formatters.turns`);
    `probability` (that `chosen` is the better one, in [0, 1]) and `margin` (by how much) may be there. Every other
    field is kept (see :mod:`itune_formatters.rest`).

    With ``layout: whole`` `chosen` and `rejected` are lists of messages that each hold the whole conversation: all but
    the last turn is the prompt and must be the same in both. A field `prompt` may then be missing; where it is text it
    must be the content of one of the shared turns, so that nothing in it is lost. The layout is said, not guessed: a
    ``separate`` answer that begins with another turn than the assistant's fails.

    Dropped: ``empty-prompt``, ``empty-output``, ``equal-responses``, ``prompts-differ``.

    Source: https://huggingface.co/docs/trl/dataset_formats.
    """

    produces = Kind.PREFERENCE

    class Config(Formatter.Config):
        layout: Literal["separate", "whole"] = Field(
            "separate",
            description="separate: `chosen` and `rejected` are answers to `prompt`; whole: each holds the whole "
            "conversation, the prompt included.",
        )

    def format(self, row: Row) -> Record | Drop:
        chosen, rejected = _read(row, "chosen", "assistant"), _read(row, "rejected", "assistant")
        extra: dict[str, Any] = {"chosen": chosen.extra or None, "rejected": rejected.extra or None}
        if self.config.layout == "whole":
            prompt, answers = chosen.messages[:-1], (chosen.messages[-1:], rejected.messages[-1:])
            if prompt != rejected.messages[:-1]:
                return Drop("prompts-differ")
            _check_prompt(row, prompt)
            extra["prompt"] = None
        else:
            question = _read(row, "prompt", "user")
            prompt, answers = question.messages, (chosen.messages, rejected.messages)
            extra["prompt"] = question.extra or None
            _check_answers(answers)
        if not prompt or not prompt[-1]["content"].strip():
            return Drop("empty-prompt")
        for name, answer in zip(("chosen", "rejected"), answers, strict=True):
            if not answer[-1]["content"].strip() and answer[-1]["tool_calls"] is None:
                return Drop("empty-output", name)
        if answers[0] == answers[1]:
            return Drop("equal-responses")
        common = rest({**row, **extra}, "probability", "margin")
        return preference(prompt, *answers, probability=row.get("probability"), margin=row.get("margin"), **common)


def _read(row: Row, field: str, role: str) -> Turns:
    """Messages under `field`; a text is one turn of `role`."""
    value = row.get(field)
    return read_turns(field, value) if isinstance(value, list) else Turns([message(role, row.text(field))], {})


def _check_answers(answers: tuple[list[dict[str, Any]], ...]) -> None:
    for name, answer in zip(("chosen", "rejected"), answers, strict=True):
        if answer[0]["role"] != "assistant":
            raise RowError(
                f"{name!r} begins with a turn of the {answer[0]['role']}",
                "E-FORMAT-020",
                why="layout is 'separate': it should hold the answer alone",
                fix="set layout: whole if it holds the whole conversation",
            )


def _check_prompt(row: Row, prompt: list[dict[str, Any]]) -> None:
    given = row.get("prompt")
    if given is None:
        return
    known = read_turns("prompt", given).messages == prompt if isinstance(given, list) else given in _contents(prompt)
    if not known:
        raise RowError(
            "'prompt' is not part of the conversation in 'chosen'",
            "E-FORMAT-021",
            why="layout is 'whole': 'chosen' should hold the prompt too",
            fix="set layout: separate if 'chosen' and 'rejected' are answers alone",
        )


def _contents(turns: list[dict[str, Any]]) -> list[str]:
    return [turn["content"] for turn in turns]
