from __future__ import annotations

import math
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_evaluators.intervals import standard_error, wilson

counts = st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # Newcombe (1998), Statistics in Medicine 17, 857-872, table I, method 3 (score, no continuity correction).
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_published_values(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


@given(counts)
def test_it_lies_around_the_share_and_inside_zero_and_one(counted: tuple[int, int]) -> None:
    successes, trials = counted
    low, high = wilson(successes, trials)
    assert 0 <= low <= successes / trials <= high <= 1
    assert low < high


@given(counts)
def test_its_ends_solve_the_equation_that_defines_them(counted: tuple[int, int]) -> None:
    successes, trials = counted
    z = NormalDist().inv_cdf(0.975)
    for end in wilson(successes, trials):
        if 0 < end < 1:
            assert abs(successes / trials - end) == pytest.approx(z * math.sqrt(end * (1 - end) / trials), rel=1e-6)


@given(counts)
def test_misses_mirror_successes(counted: tuple[int, int]) -> None:
    successes, trials = counted
    low, high = wilson(successes, trials)
    assert wilson(trials - successes, trials) == pytest.approx((1 - high, 1 - low), abs=1e-12)


@given(counts)
def test_more_confidence_is_wider_and_more_trials_narrower(counted: tuple[int, int]) -> None:
    def width(interval: tuple[float, float]) -> float:
        return interval[1] - interval[0]

    successes, trials = counted
    assert width(wilson(successes, trials, 0.99)) > width(wilson(successes, trials, 0.9))
    assert width(wilson(4 * successes, 4 * trials)) < width(wilson(successes, trials))


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (3, 2), (-1, 2)])
def test_impossible_counts_are_refused(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        wilson(successes, trials)


def test_standard_error_of_a_mean() -> None:
    # Sample variance of 1, 2, 3, 4 is 5/3; divided by n = 4 and rooted.
    assert standard_error([1.0, 2.0, 3.0, 4.0]) == pytest.approx(math.sqrt(5 / 12))
    assert standard_error([1.0]) is None
