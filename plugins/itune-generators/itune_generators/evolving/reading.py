"""What a model wrote where a new instruction was asked for."""

from __future__ import annotations

import re

from itune_generators.reading.instructions import instruction

COPIED = (
    *("<instruction>", "</instruction>", "new instruction:", "new instruction**"),
    *("새 지시문:", "새 지시문**", "新しい指示文:", "新しい指示文：", "新しい指示文**"),
)
"""What stands in the built-in prompts and in no instruction: marks of a copied prompt beside those of
``filters/evol-elimination``."""

_TAGGED = re.compile(r"<instruction>(.*?)(?:</instruction>)?", re.DOTALL)


def evolved_in(text: str) -> str:
    """The instruction that an answer consists of; empty if it says nothing.

    The tags that the prompt puts around an instruction, a label before it and quotation marks around it are no part of
    it. Other headings and remarks stay: by them the rules of elimination know a copied prompt.
    """
    found = text.strip()
    if tagged := _TAGGED.fullmatch(found):
        found = tagged[1].strip()
    return instruction(found)
