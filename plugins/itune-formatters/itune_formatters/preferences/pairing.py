"""Which of several rated answers are compared with each other."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise, product
from typing import Literal

Pairing = Literal["adjacent", "best-worst", "best-random", "all"]
PAIRING = (
    "Which answers make pairs. adjacent: each with those of the next lower score; best-worst: one pair of the highest "
    "and the lowest; best-random: one pair of the highest and any lower one; all: each with every lower one. Equal "
    "scores never make a pair; of several equal ones best-worst and best-random draw one."
)


def pair(scores: Sequence[float], how: Pairing, rng: random.Random) -> list[tuple[int, int]]:
    """Positions (better, worse) of the pairs that `how` makes of answers with these scores, best first."""
    values = sorted(set(scores), reverse=True)
    levels = [[place for place, score in enumerate(scores) if score == value] for value in values]
    if len(levels) < 2:
        return []
    if how == "adjacent":
        return [found for upper, lower in pairwise(levels) for found in product(upper, lower)]
    if how == "all":
        lower = [[place for level in levels[number:] for place in level] for number in range(1, len(levels))]
        return [found for upper, rest in zip(levels, lower, strict=False) for found in product(upper, rest)]
    worse = levels[-1] if how == "best-worst" else [place for level in levels[1:] for place in level]
    return [(rng.choice(levels[0]), rng.choice(worse))]
