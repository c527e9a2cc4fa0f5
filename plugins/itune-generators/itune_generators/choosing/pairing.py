"""Which of several scored answers are compared with each other."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from itertools import combinations, pairwise, product
from typing import Literal

Knockout = Literal["first-round", "tournament"]
KNOCKOUT = (
    "first-round: answers are drawn against each other, each at most once, so that n make n/2 pairs; tournament: the "
    "better one of each pair goes on to the next round, until one is left, so that n make n - 1 pairs."
)

Pairing = Literal["adjacent", "best-random", "best-worst", "first-round", "margin", "random", "tournament"]
PAIRING = (
    "Which answers make pairs. adjacent: each with those of the next lower score; best-random: one pair of the highest "
    "and any lower one; best-worst: one pair of the highest and the lowest; margin: each with every one that is lower "
    "by at least `min_margin`; random: `count` of those, at random. " + KNOCKOUT
)

Pair = tuple[int, int]
"""Positions of the better one and of the other."""


def paired(
    scores: Sequence[float], by: Pairing, rng: random.Random, *, min_margin: float = 0.0, count: int = 1
) -> list[Pair]:
    """The pairs that `by` makes of answers with these scores.

    Their scores differ, and by `min_margin` at least. Of a knockout, which draws answers against each other whatever
    their scores, that is not so: what to do with a pair in which neither is the better one, the caller says. In a
    tournament the one of the two that was drawn first goes on. Of several answers of equal score `best-worst` and
    `best-random` draw one.

    Args:
        scores: higher is better.
        by: see :data:`PAIRING`.
        rng: what is drawn from.
        min_margin: least difference of the scores of a pair.
        count: how many pairs `random` makes of those there are.
    """
    if by in ("first-round", "tournament"):
        return [*_matches(scores, rng, whole=by == "tournament")]

    def apart(better: int, worse: int) -> bool:
        return scores[better] > scores[worse] and scores[better] - scores[worse] >= min_margin

    levels = _levels(scores)
    if by == "adjacent":
        return [pair for upper, lower in pairwise(levels) for pair in product(upper, lower) if apart(*pair)]
    descending = [place for level in levels for place in level]
    if by in ("margin", "random"):
        every = [pair for pair in combinations(descending, 2) if apart(*pair)]
        return every if by == "margin" else rng.sample(every, min(count, len(every)))
    best = rng.choice(levels[0])
    worse = [place for place in (levels[-1] if by == "best-worst" else descending) if apart(best, place)]
    return [(best, rng.choice(worse))] if worse else []


def _levels(scores: Sequence[float]) -> list[list[int]]:
    """Positions of equal score together, the highest first."""
    values = sorted(set(scores), reverse=True)
    return [[place for place, score in enumerate(scores) if score == value] for value in values]


def _matches(scores: Sequence[float], rng: random.Random, *, whole: bool) -> Iterable[Pair]:
    """The matches of a knockout in an order that is drawn, the winner first; of all rounds, or of the first."""
    standing = list(range(len(scores)))
    rng.shuffle(standing)
    while len(standing) > 1:
        matches = [(one, two) if scores[one] >= scores[two] else (two, one)
                   for one, two in zip(standing[::2], standing[1::2], strict=False)]  # fmt: skip
        yield from matches
        if not whole:
            return
        # who had no opponent stands first, and so has one in the next round
        standing = [*standing[len(matches) * 2 :], *(winner for winner, _ in matches)]
