"""RSO's acceptance against closed forms, and step by step on chosen draws."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_generators.choosing.acceptance import acceptance_rate, accepted

ANSWERS = range(4)
POLICY = [0.40, 0.25, 0.15, 0.20]
REWARD = [0.0, 0.5, 1.0, 1.5]
LARGEST = 16.266
"""Of chi-square with three degrees of freedom, exceeded once in a thousand times."""


def chi_square(counts: Counter[int], expected: Sequence[float]) -> float:
    total = counts.total()
    return sum((counts[k] - total * share) ** 2 / (total * share) for k, share in enumerate(expected))


def tilted(beta: float) -> list[float]:
    """pi(y) exp(r(y) / beta), normalised."""
    weights = [p * math.exp(r / beta) for p, r in zip(POLICY, REWARD, strict=True)]
    return [weight / sum(weights) for weight in weights]


@pytest.mark.parametrize("beta", [0.5, 1.0, 5.0])
def test_what_is_accepted_is_drawn_from_the_better_policy(beta: float) -> None:
    """Of 64 draws of a policy over four answers; the last is among them in all but 6e-7 of the cases."""
    rng = random.Random(20260)
    counts: Counter[int] = Counter()
    for _ in range(2000):
        drawn = rng.choices(ANSWERS, POLICY, k=64)
        counts.update(drawn[place] for place in accepted([REWARD[k] for k in drawn], 4, beta, rng))
    assert counts.total() == 8000
    assert chi_square(counts, tilted(beta)) < LARGEST
    assert chi_square(counts, tilted(beta * 1.5)) > LARGEST
    assert chi_square(counts, POLICY) > LARGEST


def first_of(chances: Sequence[float]) -> list[float]:
    """How likely each of some candidates is the first that is accepted, in a random order.

    A candidate stands at a uniform time t, and each other one comes before it and is accepted with probability t * a:
    a_i times the integral over t from 0 to 1 of the product of (1 - t * a_j).
    """
    found = []
    for i, chance in enumerate(chances):
        polynomial = [1.0]
        for other in (a for j, a in enumerate(chances) if j != i):
            shifted = [0.0, *(-other * c for c in polynomial)]
            polynomial = [a + b for a, b in zip([*polynomial, 0.0], shifted, strict=True)]
        found.append(chance * sum(c / (power + 1) for power, c in enumerate(polynomial)))
    return found


def test_of_four_candidates_the_first_accepted_is_each_as_often_as_it_should_be() -> None:
    """With a set of candidates so small that it is no policy: the closed form of the pass itself."""
    expected = first_of([math.exp((r - 1.5) / 0.7) for r in REWARD])
    assert sum(expected) == pytest.approx(1)
    rng = random.Random(7)
    counts = Counter(accepted(REWARD, 1, 0.7, rng)[0] for _ in range(8000))
    assert chi_square(counts, expected) < LARGEST
    assert chi_square(counts, tilted(0.7)) > LARGEST


class Chosen(random.Random):
    """Gives these numbers, one after the other, and shuffles nothing."""

    def __init__(self, numbers: Sequence[float]) -> None:
        super().__init__(0)
        self.left: Iterator[float] = iter(numbers)

    def random(self) -> float:
        return next(self.left)

    def shuffle(self, x: object) -> None:
        """Leave the order."""


def test_a_walk_through_two_passes() -> None:
    """The largest reward is fixed for a pass, and a pass ends where the quota is met."""
    first = [
        0.9,  # < exp(0): accepted
        0.5,  # >= exp(-1) = 0.37, since 3.0 is still the largest of this pass though it is gone
        0.1,  # < exp(-2) = 0.14: accepted
        0.05,  # >= exp(-3) = 0.0498
    ]
    second = [0.99]  # < exp(0): now 2.0 is the largest, and the third that is accepted
    rng = Chosen([*first, *second, 0.0])
    assert accepted([3.0, 2.0, 1.0, 0.0], 3, 1.0, rng) == [0, 2, 1]
    assert list(rng.left) == [0.0]  # the last candidate was not asked again


def test_the_quota_ends_a_pass_in_which_more_would_be_accepted() -> None:
    assert accepted([1.0] * 6, 2, 1.0, Chosen([0.5, 0.5])) == [0, 1]


def test_candidates_are_shuffled_first() -> None:
    """Where all are equally good, a pass that stops at its quota would otherwise take the first ones always."""
    rng = random.Random(3)
    counts = Counter(place for _ in range(4000) for place in accepted([0.0] * 4, 2, 1.0, rng))
    assert chi_square(counts, [0.25] * 4) < LARGEST


def test_a_beta_near_zero_takes_the_best_and_a_huge_one_any() -> None:
    rewards = [float(k) for k in random.Random(1).sample(range(64), 64)]
    assert {rewards[place] for place in accepted(rewards, 8, 1e-300, random.Random(0))} == set(range(56, 64))
    counts = Counter(accepted(REWARD, 1, 1e300, random.Random(number))[0] for number in range(4000))
    assert chi_square(counts, [0.25] * 4) < LARGEST


REWARDS = st.lists(st.floats(-1e308, 1e308) | st.sampled_from([0.0, 1.0, 2.0]), min_size=1, max_size=20)
BETAS = st.floats(min_value=0, exclude_min=True, allow_infinity=False)


@given(REWARDS, st.integers(1, 25), BETAS, st.randoms(use_true_random=False))
def test_as_many_as_there_are_up_to_the_quota_and_none_twice(
    rewards: list[float], quota: int, beta: float, rng: random.Random
) -> None:
    taken = accepted(rewards, quota, beta, rng)
    assert len(taken) == len(set(taken)) == min(quota, len(rewards))
    assert set(taken) <= set(range(len(rewards)))


@given(REWARDS, BETAS)
def test_the_rate_of_a_first_pass(rewards: list[float], beta: float) -> None:
    rate = acceptance_rate(rewards, beta)
    assert rewards.count(max(rewards)) / len(rewards) <= rate <= 1


def test_the_rate_is_the_share_that_a_pass_accepts() -> None:
    rng = random.Random(5)
    chances = [math.exp((r - 1.5) / 0.7) for r in REWARD]
    passes = [sum(rng.random() < chance for chance in chances) / 4 for _ in range(4000)]
    assert acceptance_rate(REWARD, 0.7) == pytest.approx(sum(passes) / len(passes), abs=0.02)
