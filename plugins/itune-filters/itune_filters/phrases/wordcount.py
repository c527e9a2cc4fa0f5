"""How many words a text has, in scripts with and without spaces."""

from __future__ import annotations

import re

UNSPACED = re.compile(
    "[\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]"
)
"""A character of Chinese or Japanese: Han with its marks of repetition, Hiragana, Katakana of either width."""

CHARACTERS_A_WORD = 2
"""Of Chinese and Japanese: a convention, near to what their segmenters give, so that one bound suits all texts."""


def word_count(text: str) -> int:
    """Runs without white space; of Chinese and Japanese text every two characters are a word, rounded up.

    Korean is counted by its spaces, where a word carries its particles: the same content has fewer words than in
    English.
    """
    found = len(UNSPACED.findall(text))
    if not found:
        return len(text.split())
    runs = UNSPACED.sub(" ", text).split()  # what is left between: Latin words and numbers, and punctuation
    return -(-found // CHARACTERS_A_WORD) + sum(any(map(str.isalnum, run)) for run in runs)
