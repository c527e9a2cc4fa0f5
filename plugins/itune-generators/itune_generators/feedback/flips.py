"""Labels that are wrong at a known rate, as those of people are. Source: AlpacaFarm, arXiv:2305.14387, section 3.2."""

from __future__ import annotations

import random


def flipped(rate: float, rng: random.Random) -> bool:
    """Whether a label is turned over: with probability `rate`.

    As AlpacaFarm does it: with probability ``2 * rate`` the label gives way to the toss of a fair coin, which half the
    time says what the label said. So no rate above 0.5 can be had, where labels are all noise.

    Args:
        rate: in [0, 0.5].
        rng: of this label; it is drawn from twice whatever comes out, so that what else it decides stays.
    """
    tossed = rng.random() < 2 * rate
    coin = rng.random() < 0.5
    return tossed and coin
