"""Texts that end as sentences do."""

from __future__ import annotations

import string
import unicodedata

_IDEOGRAPHIC = ("CJK UNIFIED", "CJK COMPATIBILITY", "HIRAGANA", "KATAKANA", "IDEOGRAPHIC", "HALFWIDTH KATAKANA")


def closed(text: str) -> str:
    """`text` without the space around it, and with a full stop if it does not end in punctuation.

    Punctuation is that of any script (``。``, ``？``, ``।``), and every sign of ASCII. After a Chinese or Japanese
    character the full stop is ``。``, else ``.``. A text of spaces only stays empty.
    """
    text = text.strip()
    if not text:
        return text
    last = text[-1]
    if last in string.punctuation or unicodedata.category(last).startswith("P"):
        return text
    return text + ("。" if unicodedata.name(last, "").startswith(_IDEOGRAPHIC) else ".")
