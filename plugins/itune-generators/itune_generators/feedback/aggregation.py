"""Ratings of several aspects as one score. Source: UltraFeedback, arXiv:2310.01377, section 2.3."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def mean_rating(ratings: Iterable[int | None]) -> float | None:
    """The mean of the ratings of an answer over aspects; None stands for "not applicable" and is left out of it.

    None, where no aspect applies: there is no score, and no middling one is put in its place.
    """
    given = [rating for rating in ratings if rating is not None]
    return math.fsum(given) / len(given) if given else None


def shuffled(count: int, rng: random.Random) -> list[int]:
    """An order to show `count` answers in: position of each of those shown."""
    order = list(range(count))
    rng.shuffle(order)
    return order


def unshuffled(shown: Sequence[Item], order: Sequence[int]) -> list[Item]:
    """What was said of answers in the order that they were shown in, in their own order."""
    said = dict(zip(order, shown, strict=True))
    return [said[place] for place in range(len(order))]
