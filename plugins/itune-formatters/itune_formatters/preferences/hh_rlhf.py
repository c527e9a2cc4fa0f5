"""Anthropic HH-RLHF rows: two transcripts of one dialogue that differ in the last reply."""

from __future__ import annotations

import re
from typing import Any

from itune_core.api import Drop, Formatter, Kind, Record, Row, RowError, message, preference
from itune_formatters.rest import rest

MARKER = re.compile(r"\n\n(Human|Assistant):")
ROLES = {"Human": "user", "Assistant": "assistant"}


class HHRLHF(Formatter):
    r"""HH-RLHF's helpful and harmless files, one preference a row.

    Fields: `chosen` and `rejected`, each a whole transcript whose turns begin with ``\n\nHuman:`` or
    ``\n\nAssistant:``. All but the last reply is the prompt and must be the same in both. White space around a turn is
    layout and is stripped. People write the markers too (``Human:`` inside a turn): only at the start of a paragraph do
    they begin a turn. The red-team file has other fields and is not read.

    Dropped: ``prompts-differ`` (the transcripts part before the last reply: they do not compare two answers to one
    question), ``turns-out-of-order`` (not human and assistant by turns), ``empty-output`` (a last reply is empty),
    ``equal-responses``.

    Source: arXiv:2204.05862, https://github.com/anthropics/hh-rlhf (MIT).
    """

    produces = Kind.PREFERENCE

    def format(self, row: Row) -> Record | Drop:
        *prompt, chosen = _turns(row, "chosen")
        *other_prompt, rejected = _turns(row, "rejected")
        if prompt != other_prompt:
            shared = next(
                (number for number, pair in enumerate(zip(prompt, other_prompt, strict=False)) if pair[0] != pair[1]),
                min(len(prompt), len(other_prompt)),
            )
            return Drop("prompts-differ", f"from turn {shared + 1} on")
        roles = [turn["role"] for turn in (*prompt, chosen)]
        if roles != ["user", "assistant"] * (len(roles) // 2) or rejected["role"] != "assistant":
            return Drop("turns-out-of-order", ", ".join([*roles[:-1], f"{chosen['role']} or {rejected['role']}"]))
        for name, turn in (("chosen", chosen), ("rejected", rejected)):
            if not turn["content"]:
                return Drop("empty-output", name)
        if chosen == rejected:
            return Drop("equal-responses")
        return preference(prompt, [chosen], [rejected], **rest(row, "chosen", "rejected"))


def _turns(row: Row, field: str) -> list[dict[str, Any]]:
    before, *marked = MARKER.split(row.text(field))
    if before.strip() or not marked:
        raise RowError(
            f"{field!r} does not begin with a turn",
            "E-FORMAT-003",
            why=r"a transcript begins with '\n\nHuman:'",
            fix="use formatters/pairs for rows with the prompt in a field of its own",
        )
    return [message(ROLES[name], content.strip()) for name, content in zip(marked[::2], marked[1::2], strict=True)]
