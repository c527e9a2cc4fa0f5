"""Answers that come with their reasoning: what marks the result, and the two taken apart."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from itune_core.api import RowError
from itune_generators.asking.prompting import Language

MARKS: Mapping[Language, str] = {"en": "Answer:", "ko": "답:", "ja": "答え："}
"""What the line of the result begins with, as the built-in system prompts ask for it."""


class Reasoned(NamedTuple):
    """An answer in two parts, without white space around either."""

    thought: str
    answer: str


def apart(text: str, language: Language) -> Reasoned:
    """The reasoning of an answer and its result: what stands before the line that the mark begins, and the rest.

    Capitals, Markdown around the mark, and whether its colon is wide make no difference.

    Raises:
        RowError: ``E-GEN-031`` no line begins with the mark, or several do; or nothing stands before it, or after.
    """
    mark = re.escape(MARKS[language][:-1])
    parts = re.split(rf"^[ \t#*]*{mark}[ \t*]*[:：]\**", text, flags=re.IGNORECASE | re.MULTILINE)
    found = [part.strip() for part in parts]
    if len(found) != 2 or not all(found):
        why = "a part of it is blank" if len(found) == 2 else f"{len(found) - 1} lines begin with {MARKS[language]!r}"
        raise RowError(
            "the answer does not come apart into reasoning and result",
            "E-GEN-031",
            why=f"{why}: {text[:80]!r}",
            fix="use a model that follows instructions better, or thought: answer, which keeps the whole",
        )
    return Reasoned(*found)
