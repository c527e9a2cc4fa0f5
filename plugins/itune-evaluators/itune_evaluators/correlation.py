"""Rank correlation, with how sure it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation.

    Attributes:
        rho: -1 to 1.
        low, high: its interval; None for fewer than four pairs, and where `rho` is -1 or 1, of which the formula says
            nothing.
    """

    rho: float
    low: float | None = None
    high: float | None = None


def spearman(one: Sequence[float], other: Sequence[float], confidence: float = 0.95) -> Correlation | None:
    """The rank correlation of pairs; ties share their mean rank. None where one side is constant or there is one pair.

    The interval is ``tanh(atanh(rho) +- z sqrt((1 + rho^2 / 2) / (n - 3)))``.

    Source: Bonett and Wright (2000), "Sample size requirements for estimating Pearson, Kendall and Spearman
    correlations", Psychometrika 65, 23-28.
    """
    from scipy.stats import spearmanr

    count = len(one)
    if min(len(set(one)), len(set(other))) < 2:
        return None
    rho = min(1.0, max(-1.0, float(spearmanr(one, other).statistic)))
    if count < 4 or abs(rho) > 1 - 1e-12:
        return Correlation(rho)
    half = NormalDist().inv_cdf(0.5 + confidence / 2) * math.sqrt((1 + rho**2 / 2) / (count - 3))
    return Correlation(rho, math.tanh(math.atanh(rho) - half), math.tanh(math.atanh(rho) + half))
