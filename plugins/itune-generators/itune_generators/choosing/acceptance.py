"""Statistical rejection sampling: which of a policy's answers stand for those of a better policy.

The better policy is ``pi(y|x) * exp(r(x, y) / beta)``, normalised: the optimum of the reward under a penalty of
beta times the divergence from pi. Source: RSO, arXiv:2309.06657, section 3.2 and the listing in its appendix.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence


def accepted(rewards: Sequence[float], quota: int, beta: float, rng: random.Random) -> list[int]:
    """Positions of the candidates that are accepted, in the order in which they were; each at most once.

    Candidates are shuffled and gone through in passes. In a pass each is accepted with probability
    ``exp((r - r_max) / beta)``, where ``r_max`` is the largest reward of those that were left at its beginning; what
    was accepted is gone from the next. It ends as soon as the quota is met, inside a pass. The best that is left is
    always accepted, so every pass accepts at least one.

    Args:
        rewards: of the candidates. Equal ones, and candidates that say the same, stay candidates of their own.
        quota: how many to accept; all are, in some order, where there are no more than that.
        beta: above 0. The larger, the nearer to a random choice; the smaller, the nearer to the best ones.
        rng: what is drawn from.
    """
    remaining = list(range(len(rewards)))
    rng.shuffle(remaining)  # a pass that stops at the quota would prefer those that stand first
    taken: list[int] = []
    while remaining and len(taken) < quota:
        best = max(rewards[place] for place in remaining)
        passed = []
        for place in remaining:
            if rng.random() >= math.exp((rewards[place] - best) / beta):
                passed.append(place)
                continue
            taken.append(place)
            if len(taken) == quota:
                break
        remaining = passed
    return taken


def acceptance_rate(rewards: Sequence[float], beta: float) -> float:
    """The share of the candidates that a first pass without a quota accepts on average: the mean of
    ``exp((r - r_max) / beta)``, from ``1 / len(rewards)`` (of unlike rewards, the best alone) to 1."""
    best = max(rewards)
    return math.fsum(math.exp((reward - best) / beta) for reward in rewards) / len(rewards)
