"""What there is to say of a rule that was fitted: figures, rows of a table, and the rule itself."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from itune_core.api import Rule
from itune_evaluators.correlation import spearman
from itune_evaluators.regression import Fit, Selection, leave_one_out, permuted_p

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[np.float64]]

TARGET = "log inference loss"
PERMUTATIONS = 999

NOTED = ("mixtures", "r2", "adjusted_r2", "press_r2", "loo_r2", "permutation_p")
"""Figures that go with the rule wherever it is used."""


class Trained(NamedTuple):
    """A data set and the model that was trained on it.

    Attributes:
        id: the data set as a person finds it in the recipe, ``mixtures[3]``.
        model: name of the model.
        means: mean of each indicator over the data set.
        loss: the model's inference loss, in nats per token.
    """

    id: str
    model: str
    means: Mapping[str, float]
    loss: float


def figures_of(
    fit: Fit, names: Sequence[str], values: Array, target: Array, selection: Selection, rng: random.Random
) -> dict[str, float]:
    """The fit, and how much of it would hold for other mixtures.

    Args:
        fit: of `target` by some columns of `values`.
        names: of the columns.
        values: a row a mixture, a column an indicator.
        target: logarithms of the losses.
        selection: how the columns of `fit` were chosen.
        rng: draws the permutations.
    """
    import numpy as np

    figures = {
        "mixtures": len(target),
        "predictors": len(fit.predictors),
        "mean_log_loss": float(target.mean()),
        "log_loss_sd": float(target.std(ddof=1)),
        "intercept": fit.intercept.value,
        "intercept_se": fit.intercept.error,
    }
    for number, estimate in zip(fit.predictors, fit.coefficients, strict=True):
        kinds = {"coefficient": estimate.value, "se": estimate.error, "p": estimate.p}
        figures |= {f"{names[number]}.{kind}": value for kind, value in kinds.items()}
    figures |= {"r2": fit.r2, "adjusted_r2": fit.adjusted_r2}
    left_out = {"press_r2": fit.press_r2, "loo_r2": leave_one_out(values, target, selection)}
    figures |= {name: value for name, value in left_out.items() if value is not None}
    orders = [np.array(rng.sample(range(len(target)), len(target))) for _ in range(PERMUTATIONS)]
    return {**figures, "permutation_p": permuted_p(values, target, selection, orders)}


def rank_figures(trained: Sequence[Trained], names: Sequence[str], called: str) -> dict[str, float]:
    """Spearman's correlation of each indicator with the loss and its interval, as ``NAME.CALLED``, ``NAME.CALLED_low``
    and ``NAME.CALLED_high``; without those that are not defined."""
    figures: dict[str, float | None] = {}
    for name in names:
        if found := spearman([one.means[name] for one in trained], [one.loss for one in trained]):
            of = f"{name}.{called}"
            figures |= {of: found.rho, f"{of}_low": found.low, f"{of}_high": found.high}
    return {name: value for name, value in figures.items() if value is not None}


def mixture_row(one: Trained, fit: Fit, number: int) -> dict[str, Any]:
    """A mixture's row of the table; it is observation `number` of the fit."""
    said = {"predicted": fit.fitted, "residual": fit.residuals, "leverage": fit.leverages}
    return _row(one, **{name: float(values[number]) for name, values in said.items()})


def stratum_row(one: Trained, sorted_by: str, number: int) -> dict[str, Any]:
    """A stratum's row of the table; it is number `number` of those sorted by that indicator."""
    return _row(one, sorted_by=sorted_by, stratum=number)


def rule_of(fit: Fit, indicators: Mapping[str, str], figures: Mapping[str, float]) -> Rule:
    """The rule, with the columns that it was fitted on and the figures that say how far to trust it."""
    names = list(indicators)
    chosen = [names[number] for number in fit.predictors]
    return Rule(
        target=TARGET,
        intercept=fit.intercept.value,
        coefficients={name: one.value for name, one in zip(chosen, fit.coefficients, strict=True)},
        indicators={name: indicators[name] for name in chosen},
        notes={name: figures[name] for name in NOTED if name in figures},
    )


def _row(one: Trained, **more: Any) -> dict[str, Any]:
    fields = {"predicted": None, "residual": None, "leverage": None, "sorted_by": None, "stratum": None}
    indicators = {f"mean.{name}": value for name, value in one.means.items()}
    known = {"id": one.id, "model": one.model, "loss": one.loss, "log_loss": math.log(one.loss)}
    return {**known, **fields, **more, **indicators}
