"""The instruction in what a model wrote when it was asked for one."""

from __future__ import annotations

import re

_LABEL = re.compile(r"[#*\s]*(?:the\s+)?(?:instruction|prompt|지시문?|指示)[ \t*]*[:：]\**\s*", re.IGNORECASE)
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "「": "」", "『": "』", "«": "»"}


def instruction(text: str) -> str:
    """`text` without a label before it ("Instruction:") and without quotation marks around the whole; may be empty."""
    label = _LABEL.match(text)
    bare = text[label.end() if label else 0 :].strip()
    if len(bare) > 1 and _QUOTES.get(bare[0]) == bare[-1] and bare[-1] not in bare[1:-1]:
        bare = bare[1:-1].strip()
    return bare
