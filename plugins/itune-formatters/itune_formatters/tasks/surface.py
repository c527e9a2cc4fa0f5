"""The surface of a question with options: how the list is headed and its items are marked, and cues to reason."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

HEADERS = (
    "Options:",
    "Choose from:",
    "Possible answers:",
    "Pick one of these:",
    "The answer is one of the following.",
    "Select from this list:",
    "Your choices are:",
    "Answer with one of:",
)

CUES = (
    "Reason before you answer.",
    "Work it out in steps, then give the answer.",
    "First explain how you get there, then answer.",
    "Show your reasoning and finish with the answer.",
    "Think aloud, and close with your answer.",
    "Go through it bit by bit; the answer comes last.",
)

ROMAN = ((100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))
LETTERS = 26

SHAPES = ("{}.", "{})", "({})", "[{}]", "{}:")
BULLETS = ("-", "*", "•")


def _roman(number: int) -> str:
    text = ""
    for value, sign in ROMAN:
        text += sign * (number // value)
        number %= value
    return text


NUMERALS: tuple[Callable[[int], str], ...] = (
    lambda index: chr(ord("A") + index),
    lambda index: chr(ord("a") + index),
    lambda index: str(index + 1),
    lambda index: _roman(index + 1),
)
"""Marks by number from 0; letters come to an end."""


@dataclass(frozen=True)
class Style:
    """How a list of options looks.

    Attributes:
        header: the line above it.
        marks: what stands before each option, in order.
    """

    header: str
    marks: tuple[str, ...]

    def block(self, options: Sequence[str]) -> str:
        """The list; there are at most as many options as :attr:`marks`."""
        return "\n".join([self.header, *(f"{mark} {text}" for mark, text in zip(self.marks, options, strict=False))])


def draw_style(rng: random.Random, most: int) -> Style:
    """A style for lists of at most `most` options: header, kind of mark and its punctuation are drawn."""
    kinds = NUMERALS if most <= LETTERS else NUMERALS[2:]
    kind = rng.randrange(len(kinds) + 1)
    if kind == len(kinds):
        return Style(rng.choice(HEADERS), (rng.choice(BULLETS),) * most)
    shape = rng.choice(SHAPES)
    return Style(rng.choice(HEADERS), tuple(shape.format(kinds[kind](index)) for index in range(most)))
