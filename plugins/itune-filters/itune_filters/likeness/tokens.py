"""Texts as the tokens that filters compare."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Literal
from unicodedata import normalize

from itune_core.api import RowError

Unit = Literal["words", "characters"]
"""What a text is made of.

- ``words``: runs of letters and digits of any script. Scripts that are written without spaces (Chinese, the Japanese
  ones, Thai, Lao, Khmer, Burmese) have no such runs: each of their characters is a word.
- ``characters``: each letter and each digit.

Both read the text in Unicode's compatibility form (NFKC), case folded; marks stay with their letter. All else, white
space and punctuation, only separates.
"""

_RUNS = re.compile("[a-z0-9]+")
_SPACED = bytes(ord(chr(code).lower()) if code < 128 and chr(code).isalnum() else 32 for code in range(256))
"""ASCII in lower case, with a space for all that is no letter and no digit."""


def split(text: str, unit: Unit) -> list[str]:
    """The tokens of `text`, in order; none if it has no letter and no digit."""
    if text.isascii():
        # A good deal faster than a regular expression.
        words = text.encode().translate(_SPACED).decode()
        return words.split() if unit == "words" else list(words.replace(" ", ""))
    found: list[str] = _unicode(unit).findall(normalize("NFKC", text).casefold())
    return found


def tokens(text: str, unit: Unit | Literal["rouge"]) -> list[str]:
    """The tokens of `text`, at least one.

    Args:
        text: any.
        unit: a :data:`Unit`; or ``rouge``: runs of a to z and 0 to 9 of the text in lower case, as the tokenizer of the
            ``rouge-score`` package reads it. That deletes what is written in any other script.

    Raises:
        RowError: ``E-FILTER-050`` nothing is left to compare; or ``rouge`` would delete most of the letters, so that
            what is left says little of the text.
    """
    if unit == "rouge" and not text.isascii():
        found = _RUNS.findall(text.lower())
        if 2 * sum(map(len, found)) < sum(map(str.isalnum, text)):
            raise RowError(
                "most letters of the text are outside of a to z, and ROUGE's tokenizer deletes those",
                "E-FILTER-050",
                fix="set tokens: words, or tokens: characters",
            )
    else:
        found = split(text, "words" if unit == "rouge" else unit)  # of ASCII they are the same
    if not found:
        raise RowError("the text has no letter and no digit: there is nothing to compare", "E-FILTER-050")
    return found


@cache
def _unicode(unit: Unit) -> Any:
    import regex

    if unit == "characters":
        return regex.compile(r"[\p{L}\p{N}]\p{M}*")
    scripts = "".join(rf"\p{{scx={script}}}" for script in ("Han", "Hira", "Kana", "Thai", "Laoo", "Khmr", "Mymr"))
    unspaced = rf"[[{scripts}]&&[\p{{L}}\p{{N}}]]"
    # a-z0-9 is in the set after it; to ask for it first nearly halves the time.
    return regex.compile(rf"(?V1)(?:[a-z0-9]|[[\p{{L}}\p{{M}}\p{{N}}]--{unspaced}])+|{unspaced}\p{{M}}*")
