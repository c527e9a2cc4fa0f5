"""Texts that hold a question and its answer below headings, as models without a chat template are trained."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal, NamedTuple

from itune_core.api import RowError

Part = Literal["instruction", "input", "output"]
ORDERS = (["instruction", "output"], ["instruction", "input", "output"])


class Headed(NamedTuple):
    """The parts of such a text; `preamble` is what stands before the first heading."""

    preamble: str
    instruction: str
    input: str
    output: str


def read_headed(text: str, headings: Mapping[str, Part], *, end: str = "") -> Headed:
    """Take a text apart at its headings.

    A heading is ``###`` at the beginning of a line and one of the known names, then a colon, or the end of the line.
    The text of a part begins behind the heading, on the same line or the next, and ends with the empty lines before
    the next one. Other headings belong to the text they stand in.

    Args:
        text: the whole.
        headings: name of a heading to what stands below it; a part may have several names.
        end: what the text ends with, which is cut off; empty: nothing.

    Raises:
        RowError: ``E-FORMAT-030`` the headings are not those of one question and one answer, in that order, or the end
            is not there: nothing is guessed.
    """
    if end:
        whole = text.rstrip()
        if not whole.endswith(end):
            raise _unfit(f"it does not end with {end!r}")
        text = whole.removesuffix(end)
    found = list(_pattern(tuple(headings)).finditer(text))
    order = [headings[heading["name"]] for heading in found]
    if order not in ORDERS:
        raise _unfit(f"it has {' '.join(heading[0].strip() for heading in found) or 'no heading that is known'}")
    ends = [heading.start() for heading in found[1:]] + [len(text)]
    parts = {
        part: text[heading.end() : end].rstrip("\r\n") for part, heading, end in zip(order, found, ends, strict=True)
    }
    return Headed(text[: found[0].start()].strip(), parts["instruction"], parts.get("input", ""), parts["output"])


@lru_cache
def _pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    known = "|".join(map(re.escape, names))
    return re.compile(rf"^###[ \t]*(?P<name>{known})(?:[ \t]*[:：][ \t]*(?:\r?\n)?|[ \t]*(?:\r?\n|\Z))", re.MULTILINE)


def _unfit(why: str) -> RowError:
    return RowError("the text is not one question and its answer below headings", "E-FORMAT-030", why=why)
