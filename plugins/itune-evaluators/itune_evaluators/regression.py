"""Least squares with backward selection, and how much of it would hold on data that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[np.float64]]

ROUNDING = 1e-12
"""What is smaller, beside 1, may be rounding alone."""


@dataclass(frozen=True)
class Selection:
    """When backward selection stops.

    Attributes:
        alpha: a predictor stays where the p-value of its t-test is at most this.
        most_per: observations that there must be for each predictor that stays.
    """

    alpha: float
    most_per: int

    def most(self, observations: int) -> int:
        """Most predictors that so many observations admit."""
        return observations // self.most_per


@dataclass(frozen=True)
class Estimate:
    """A coefficient: its value, its standard error, and the p-value of the two-sided t-test that it is 0."""

    value: float
    error: float
    p: float


@dataclass(frozen=True)
class Fit:
    """A least-squares fit with an intercept.

    Attributes:
        predictors: numbers of the columns that stayed, ascending; none is a legal fit, of the mean alone.
        intercept, coefficients: the latter in the order of `predictors`.
        r2, adjusted_r2: share of the variance that is explained; adjusted for the number of predictors.
        press_r2: leave-one-out R2 with the same predictors, see :func:`left_out_r2`; None where the others would not
            determine their coefficients.
        fitted, residuals: by observation; residual = observed - fitted.
        leverages: diagonal of the hat matrix: how much an observation decides of its own fit.
    """

    predictors: tuple[int, ...]
    intercept: Estimate
    coefficients: tuple[Estimate, ...]
    r2: float
    adjusted_r2: float
    press_r2: float | None
    fitted: Array
    residuals: Array
    leverages: Array

    def predict(self, values: Sequence[float]) -> float:
        """The prediction for one row of all columns, those that did not stay included."""
        chosen = zip(self.coefficients, self.predictors, strict=True)
        return self.intercept.value + sum(estimate.value * float(values[column]) for estimate, column in chosen)


def determined(values: Array) -> bool:
    """Whether a fit on all columns has one solution and something left to estimate its errors from: more rows than
    columns and intercept, no column constant, none a sum of the others."""
    import numpy as np

    rows, columns = values.shape
    if rows < columns + 2 or constant(values):
        return False
    scaled = values / _largest(values)
    return bool(np.linalg.matrix_rank((scaled - scaled.mean(axis=0)) / scaled.std(axis=0)) == columns)


def constant(values: Array) -> list[int]:
    """Numbers of the columns that hold one value, but for rounding."""
    spread = (values / _largest(values)).std(axis=0)
    return [number for number, width in enumerate(spread) if not width > ROUNDING]


def _largest(values: Array) -> Array:
    """The largest magnitude in each column; 1 where all are 0."""
    import numpy as np

    largest = np.abs(values).max(axis=0, initial=0.0)
    return np.where(largest > 0, largest, 1.0)


def backward(values: Array, target: Array, selection: Selection) -> Fit:
    """Begin with all columns; drop the one with the largest p-value until all that are left are significant and few.

    Where the observations admit no predictor at all, the fit is the mean, whatever the columns.

    Args:
        values: a row an observation, a column a possible predictor; :func:`determined`.
        target: by observation, not constant.
        selection: when to stop.
    """
    chosen = _select(values, target, selection)
    return _fit(values, target, chosen)


def _select(values: Array, target: Array, selection: Selection) -> list[int]:
    most = selection.most(len(target))
    chosen = list(range(values.shape[1])) if most else []
    while chosen:
        p = _ols(values, target, chosen).pvalues[1:]
        worst = int(p.argmax())
        if p[worst] <= selection.alpha and len(chosen) <= most:
            break
        del chosen[worst]
    return chosen


def _ols(values: Array, target: Array, chosen: Sequence[int]) -> Any:
    """The fit on the chosen columns, each divided by its largest magnitude: beside a perplexity of 1e15, statsmodels
    would take the whole column of a share for rounding and leave it out."""
    import numpy as np
    from statsmodels.regression.linear_model import OLS

    columns = values[:, list(chosen)]
    return OLS(target, np.column_stack([np.ones(len(target)), columns / _largest(columns)])).fit()


def _fit(values: Array, target: Array, chosen: Sequence[int]) -> Fit:
    found = _ols(values, target, chosen)
    scales = [1.0, *_largest(values[:, list(chosen)])]
    estimates = [
        Estimate(float(value / scale), float(error / scale), float(p))
        for value, error, p, scale in zip(found.params, found.bse, found.pvalues, scales, strict=True)
    ]
    leverages = found.get_influence().hat_matrix_diag
    alone = (1 - leverages).min() < ROUNDING  # an observation that a coefficient is fitted to, and nothing else
    return Fit(
        predictors=tuple(chosen),
        intercept=estimates[0],
        coefficients=tuple(estimates[1:]),
        r2=float(found.rsquared) if chosen else 0.0,
        adjusted_r2=float(found.rsquared_adj) if chosen else 0.0,
        press_r2=None if alone else left_out_r2(target, target - found.resid / (1 - leverages)),
        fitted=found.fittedvalues,
        residuals=found.resid,
        leverages=leverages,
    )


def left_out_r2(target: Array, predicted: Array) -> float:
    """1 - sum of squared errors of `predicted`, each made without its observation, over that of the means of the
    others. So predicting the mean has exactly 0, and what predicts worse than it is below 0."""
    import numpy as np

    count = len(target)
    means = (target.sum() - target) / (count - 1)
    return float(1 - np.square(target - predicted).sum() / np.square(target - means).sum())


def leave_one_out(values: Array, target: Array, selection: Selection) -> float | None:
    """Leave-one-out R2 of the whole procedure: predictors are selected anew without each observation.

    Unlike :attr:`Fit.press_r2` it pays for having chosen the predictors by looking at all observations. None where the
    others do not determine a fit.
    """
    import numpy as np

    predicted = np.empty(len(target))
    for place in range(len(target)):
        others = np.arange(len(target)) != place
        if selection.most(len(target) - 1) and not determined(values[others]):
            return None
        predicted[place] = backward(values[others], target[others], selection).predict(values[place])
    return left_out_r2(target, predicted)


def permuted_p(values: Array, target: Array, selection: Selection, orders: Sequence[Array]) -> float:
    """How often targets in a random order give a fit that explains as much as theirs, selection included.

    The p-values of predictors that were chosen for their p-values are too small; this one is not: under the hypothesis
    that target and columns have nothing to do with each other, all orders are equally likely.

    Args:
        values, target, selection: as in :func:`backward`.
        orders: permutations of the observations.

    Returns:
        ``(1 + reached) / (1 + permutations)``; 1 where no predictor was selected.
    """
    observed = _r2(values, target, selection)
    reached = sum(_r2(values, target[order], selection) >= observed for order in orders)
    return (1 + reached) / (1 + len(orders))


def _r2(values: Array, target: Array, selection: Selection) -> float:
    chosen = _select(values, target, selection)
    return float(_ols(values, target, chosen).rsquared) if chosen else 0.0
