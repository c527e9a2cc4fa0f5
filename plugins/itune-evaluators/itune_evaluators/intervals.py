"""How sure a measured share or mean is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, stdev


def wilson(successes: float, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """The Wilson score interval of a share.

    The shares p that a two-sided normal test would not reject: (p' - p)^2 <= z^2 p (1 - p) / n, solved for p, with
    p' = successes / trials. Unlike p' +- z sqrt(p' (1 - p') / n) it stays inside [0, 1] and has a width at 0 and 1 too.

    Source: Wilson (1927), "Probable inference, the law of succession, and statistical inference", Journal of the
    American Statistical Association 22, 209-212; recommended for small n by Brown, Cai and DasGupta (2001),
    Statistical Science 16, 101-133.

    Args:
        successes: 0 to `trials`; ties may count half.
        trials: at least 1.
        confidence: probability that the interval holds the true share, in (0, 1).

    Returns:
        lower and upper end.
    """
    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(f"there cannot be {successes} successes in {trials} trials")
    z2 = NormalDist().inv_cdf(0.5 + confidence / 2) ** 2
    share = successes / trials
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = math.sqrt(z2 * (share * (1 - share) + z2 / (4 * trials)) / trials) / (1 + z2 / trials)
    # At 0 and 1 one end is the share itself; rounding must not move it across.
    low = 0.0 if successes == 0 else middle - half
    high = 1.0 if successes == trials else middle + half
    return low, high


def standard_error(values: Sequence[float]) -> float | None:
    """Standard error of the mean: sample standard deviation (n - 1) over sqrt(n). None for fewer than two values."""
    return stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
