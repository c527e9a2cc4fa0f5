"""Least squares, backward selection and what is left out, against published figures and plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_evaluators.correlation import spearman
from itune_evaluators.regression import (
    Selection,
    backward,
    determined,
    leave_one_out,
    left_out_r2,
    permuted_p,
)

KEEP_ALL = Selection(alpha=0.999, most_per=1)


def noise(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns))


def test_anscombe() -> None:
    """F. J. Anscombe, "Graphs in Statistical Analysis", The American Statistician 27 (1973), table and page 19."""
    x = np.array([10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5], float)[:, None]
    y = np.array([8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68])
    fit = backward(x, y, Selection(0.05, 8))
    assert fit.predictors == (0,)
    assert fit.intercept.value == pytest.approx(3.0, abs=5e-3)
    assert fit.coefficients[0].value == pytest.approx(0.5, abs=5e-4)
    assert fit.coefficients[0].error == pytest.approx(0.118, abs=5e-4)
    assert fit.r2 == pytest.approx(0.667, abs=5e-4)
    assert fit.coefficients[0].p == pytest.approx(0.00217, abs=5e-6)  # 2 (1 - T_9(4.241)), R's summary(lm)


def test_press_is_what_a_loop_over_all_but_one_finds() -> None:
    values, target = noise(20, 3), noise(20, 1, 1)[:, 0]
    fit = backward(values, target, KEEP_ALL)
    assert fit.predictors == (0, 1, 2)
    predicted = []
    for row in range(20):
        others = np.arange(20) != row
        design = np.column_stack([np.ones(19), values[others]])
        found, *_ = np.linalg.lstsq(design, target[others], rcond=None)
        predicted.append(found[0] + values[row] @ found[1:])
    assert fit.press_r2 == pytest.approx(left_out_r2(target, np.array(predicted)))
    assert fit.press_r2 == pytest.approx(leave_one_out(values, target, KEEP_ALL))
    assert fit.fitted + fit.residuals == pytest.approx(target)
    assert fit.leverages.sum() == pytest.approx(4)  # the trace of the hat matrix: intercept and three predictors
    assert fit.predict(values[7]) == pytest.approx(fit.fitted[7])


def test_selection_keeps_what_counts_and_drops_what_does_not() -> None:
    values = noise(48, 6)
    target = 2 + 1.5 * values[:, 1] - values[:, 4] + 0.3 * noise(48, 1, 9)[:, 0]
    fit = backward(values, target, Selection(0.01, 8))
    assert fit.predictors == (1, 4)
    assert [one.value for one in fit.coefficients] == pytest.approx([1.5, -1], abs=0.15)
    assert all(one.p <= 0.01 for one in fit.coefficients)
    assert fit.adjusted_r2 == pytest.approx(1 - (1 - fit.r2) * 47 / 45)
    left_out = leave_one_out(values, target, Selection(0.01, 8))
    assert left_out is not None
    assert 0.9 < left_out < fit.r2


def test_no_more_predictors_than_the_observations_admit() -> None:
    values = noise(24, 5)
    target = values @ np.array([5, 4, 3, 2, 1.0]) + 0.01 * noise(24, 1, 3)[:, 0]
    assert len(backward(values, target, Selection(0.05, 1)).predictors) == 5
    assert len(backward(values, target, Selection(0.05, 8)).predictors) == 3
    assert backward(values, target, Selection(0.05, 25)).predictors == ()


def test_nothing_significant_is_the_mean() -> None:
    values, target = noise(40, 4, 5), noise(40, 1, 6)[:, 0]
    fit = backward(values, target, Selection(0.001, 8))
    assert fit.predictors == () == fit.coefficients
    assert fit.intercept.value == pytest.approx(target.mean())
    assert fit.intercept.error == pytest.approx(target.std(ddof=1) / math.sqrt(40))
    assert (fit.r2, fit.adjusted_r2) == (0, 0)
    assert fit.press_r2 == pytest.approx(0, abs=1e-12)
    orders = [np.random.default_rng(seed).permutation(40) for seed in range(9)]
    assert permuted_p(values, target, Selection(0.001, 8), orders) == 1


def test_selection_finds_rules_in_noise_and_the_permutations_know() -> None:
    """Eight columns of noise: the fit calls one significant, leaving one out and permuting say it is none."""
    rng = np.random.default_rng(4)
    selection = Selection(0.05, 8)
    found = [(rng.normal(size=(48, 8)), rng.normal(size=48)) for _ in range(60)]
    selected = [pair for pair in found if backward(*pair, selection).predictors]
    assert len(selected) >= 10  # were each test of its own at the level 0.05, three of 60
    p = [permuted_p(*pair, selection, [rng.permutation(48) for _ in range(39)]) for pair in found]
    assert sum(value <= 0.05 for value in p) <= 8  # three are expected; more than eight, once in 200 such tests
    left_out = [leave_one_out(*pair, selection) for pair in selected[:10]]
    promised = [backward(*pair, selection).r2 for pair in selected[:10]]
    assert np.median(left_out) < np.median(promised) / 2


def test_permutations_reach_a_real_relation_seldom() -> None:
    values = noise(32, 3)
    target = values[:, 0] + 0.2 * noise(32, 1, 2)[:, 0]
    orders = [np.random.default_rng(seed).permutation(32) for seed in range(99)]
    assert permuted_p(values, target, Selection(0.05, 8), orders) == 0.01


def test_what_does_not_determine_a_fit() -> None:
    values = noise(10, 3)
    assert determined(values)
    assert not determined(values[:4])
    assert not determined(np.column_stack([values, np.full(10, 7.0)]))
    assert not determined(np.column_stack([values, values[:, 0] - 2 * values[:, 2]]))
    assert leave_one_out(noise(5, 3), np.arange(5.0), Selection(0.05, 1)) is None


@given(st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=30).filter(lambda target: np.std(target) > 1e-3))
def test_predicting_the_mean_of_the_others_explains_nothing(values: list[float]) -> None:
    target = np.array(values)
    means = (target.sum() - target) / (len(target) - 1)
    assert left_out_r2(target, means) == pytest.approx(0, abs=1e-9)
    assert left_out_r2(target, target) == 1


@pytest.mark.parametrize("scale", [1e-15, 1e15, 1e100])
def test_the_scale_of_a_column_plays_no_part(scale: float) -> None:
    """A perplexity beside a share: in other units the same columns stay, with the same p-values."""
    values, selection = noise(48, 3), Selection(0.05, 8)
    target = 0.5 * values[:, 0] + 0.2 * values[:, 2] + 0.3 * noise(48, 1, 2)[:, 0]
    scaled = values * [1, 1, scale] + [3, 3, 3 * scale]
    one, other = backward(values, target, selection), backward(scaled, target, selection)
    assert determined(scaled)
    assert other.predictors == one.predictors == (0, 2)
    assert other.coefficients[1].value * scale == pytest.approx(one.coefficients[1].value)
    assert other.coefficients[1].error * scale == pytest.approx(one.coefficients[1].error)
    assert [found.p for found in other.coefficients] == pytest.approx([found.p for found in one.coefficients])
    assert (other.r2, other.press_r2) == pytest.approx((one.r2, one.press_r2))
    assert other.predict(scaled[5]) == pytest.approx(one.predict(values[5]))


def test_what_one_observation_alone_decides_is_not_left_out() -> None:
    """A column that is 0 but in one row: its coefficient follows from that row, which no other can predict."""
    values, target = noise(48, 2), noise(48, 1, 1)[:, 0]
    values[:, 1] = 0
    values[7, 1], target[7] = 0.01, 9
    fit = backward(values, target, Selection(0.05, 8))
    assert 1 in fit.predictors
    assert fit.leverages[7] == pytest.approx(1)
    assert fit.press_r2 is None
    assert leave_one_out(values, target, Selection(0.05, 8)) is None


def test_rank_correlation_and_its_interval_by_hand() -> None:
    one = list(range(1, 7))
    other = [2, 1, 4, 3, 6, 5]
    # 1 - 6 * sum of squared differences of ranks / (n (n^2 - 1)) = 1 - 36 / 210
    rho = 1 - 36 / 210
    half = 1.959964 * math.sqrt((1 + rho**2 / 2) / 3)
    found = spearman(one, other)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.rho == pytest.approx(rho)
    assert (found.low, found.high) == pytest.approx(
        (math.tanh(math.atanh(rho) - half), math.tanh(math.atanh(rho) + half))
    )


def test_rank_correlations_that_have_no_interval() -> None:
    perfect = spearman([1, 2, 3, 4, 5], [9, 7, 5, 3, 1])
    assert perfect is not None
    assert (perfect.low, perfect.high) == (None, None)
    assert perfect.rho == pytest.approx(-1)
    few = spearman([1, 2, 3], [1, 3, 2])
    assert few is not None
    assert few.rho == pytest.approx(0.5)
    assert few.low is None
    assert spearman([1, 1, 1, 1], [1, 2, 3, 4]) is None
    assert spearman([1.0], [2.0]) is None
