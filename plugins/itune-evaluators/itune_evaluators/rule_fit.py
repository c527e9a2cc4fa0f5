"""What makes a data set good: a linear rule from indicators of mixtures to the loss of models trained on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field, StringConstraints, model_validator

from itune_core.api import (
    ComponentConfig,
    Context,
    DataError,
    Evaluation,
    Evaluator,
    Failed,
    Input,
    Inputs,
    Kind,
    ModelRef,
    ScoreColumn,
    hookimpl,
)
from itune_evaluators.indicators import means
from itune_evaluators.inference_loss import InferenceLoss
from itune_evaluators.regression import Selection, backward, constant, determined
from itune_evaluators.rule_figures import Trained, figures_of, mixture_row, rank_figures, rule_of, stratum_row

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[np.float64]]

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]


class RuleFit(Evaluator):
    r"""Fit InstructMining's rule: the loss of a model from what the data set that it was trained on is like.

    Many mixtures of the same sources (`mixers/fusion`), each the training set of one model, all trained from one
    model with the same settings. Of model :math:`k` the loss :math:`L_k` on the input `records` is ``example_mean`` of
    `evaluators/inference-loss`, with the same requests: what that step has asked is not asked again. Of mixture
    :math:`k` the mean :math:`I_{jk}` of each score column under `indicators`. Least squares give

    .. math:: \log L_k = b_0 + \sum_j b_j I_{jk} + \varepsilon_k

    with all indicators first; then the one with the largest p-value is left out, again and again, until each has a
    p-value of at most `alpha` and there is at most one for every `most_per` mixtures. **There may be none left**: the
    rule is then its intercept, ``predictors`` is 0, and what it predicts is the same for all data. Figures:

    - ``mixtures``, ``predictors``: how many there are; ``intercept`` and ``intercept_se``; ``mean_log_loss``, the mean
      of :math:`\log L_k`, and ``log_loss_sd``, its standard deviation;
    - ``INDICATOR.coefficient``, ``.se`` (standard error) and ``.p`` (t-test), of those that stayed;
    - ``r2``, ``adjusted_r2``; ``press_r2``, leave-one-out R² with these predictors; ``loo_r2``, leave-one-out R² with
      the predictors chosen anew each time, which alone says what to expect of other mixtures: 0 is what the mean
      predicts, and worse is below 0 (neither is given where the mixtures but one do not determine a fit);
    - ``permutation_p``: how often losses in random order (999 times) give a fit with as large an R², selection
      included. P-values of predictors that were chosen for them are too small; this one is not;
    - ``INDICATOR.rho``, ``.rho_low``, ``.rho_high``: Spearman's rank correlation of each indicator with the loss, and
      its 95 % interval (Bonett and Wright 2000). Negative: the higher the indicator, the lower the loss.

    The univariate study takes data sets sorted by one indicator through the input `strata` (`mixers/stratum`), as many
    for each of `sorted_by`, one indicator after the other, and gives ``INDICATOR.strata_rho``, ``.strata_rho_low`` and
    ``.strata_rho_high``. Strata have no part in the fit.

    The table has a row a data set, with ``loss``, ``log_loss`` and each ``mean.INDICATOR``; of a mixture ``predicted``,
    ``residual`` and ``leverage``, of a stratum ``sorted_by`` and ``stratum``, counted from 0. The rule can be read by
    `scorers/rule` and `filters/rule-select`. It holds for the model, the training settings, the size of the mixtures
    and the scale of the indicators that it was fitted with; what it says of means of data sets need not hold of rows.

    A record that one of the models cannot be measured on is left out for all of them, and stands in the ledger.

    Source: InstructMining, arXiv:2307.06290. The leave-one-out and permutation figures, and the bound on predictors,
    are additions of this package.
    """

    inputs = {
        "records": Input((Kind.CONVERSATION, Kind.PROMPT), scored=False),
        "mixtures": Input(many=True),
        "strata": Input(many=True, required=False),
    }

    class Config(ComponentConfig):
        mixture_models: list[ModelRef] = Field(
            min_length=1, description="The model that was trained on each mixture, in the order of `mixtures`."
        )
        indicators: dict[Name, ScoreColumn] = Field(
            min_length=1,
            description="Score column by indicator.",
            examples=[{"length": "score.length.response_words", "perplexity": "score.perplexity.perplexity"}],
        )
        alpha: float = Field(0.05, gt=0, lt=1, description="Largest p-value of a predictor that stays.")
        most_per: int = Field(8, ge=1, description="Mixtures that there must be for each predictor that stays.")
        strata_models: list[ModelRef] = Field([], description="The model that was trained on each of the `strata`.")
        sorted_by: list[Name] = Field([], description="The indicators that the `strata` are sorted by, in their order.")
        max_length: int = Field(
            2048, ge=2, description="Most tokens of prompt and reference together; a longer record fails, never cut."
        )

        @model_validator(mode="after")
        def _strata_are_of_indicators(self) -> Self:
            unknown = [name for name in self.sorted_by if name not in self.indicators]
            if unknown:
                raise ValueError(f"sorted_by names {unknown[0]!r}, which is not one of `indicators`")
            if bool(self.sorted_by) != bool(self.strata_models):
                raise ValueError("`strata_models` and `sorted_by` belong together: set both or none")
            if len(set(self.sorted_by)) < len(self.sorted_by):
                raise ValueError("sorted_by names an indicator twice")
            return self

    def reads(self) -> Sequence[str]:
        return tuple(dict.fromkeys(self.config.indicators.values()))

    @hookimpl
    def itune_evaluate(self, inputs: Inputs, context: Context) -> Evaluation:
        """Measure all models, then fit.

        Raises:
            DataError: ``E-EVAL-020`` to ``E-EVAL-022`` as :func:`means`; ``E-EVAL-023`` there are not as many data sets
                as models; ``E-EVAL-024`` strata are not in the order of what they are sorted by; ``E-EVAL-025`` no
                record could be measured; ``E-EVAL-026`` the mixtures do not determine a fit.
        """
        config = self.config
        pairs = {
            "mixtures": (inputs["mixtures"], config.mixture_models),
            "strata": (inputs.get("strata", []), config.strata_models),
        }
        known = {name: self._means(name, *pair) for name, pair in pairs.items()}
        self._check_strata(known["strata"])
        losses, failed = self._losses(inputs, context)
        mixtures, strata = (
            [
                Trained(f"{name}[{number}]", model, found, losses[model])
                for number, (model, found) in enumerate(zip(pairs[name][1], known[name], strict=True))
            ]
            for name in ("mixtures", "strata")
        )
        values, target = self._matrix(mixtures)
        selection = Selection(config.alpha, config.most_per)
        self._check_determined(values, target, selection)
        fit = backward(values, target, selection)
        names = list(config.indicators)
        metrics = {
            **figures_of(fit, names, values, target, selection, context.rng("permutations")),
            **rank_figures(mixtures, names, "rho"),
        }
        table = [mixture_row(one, fit, number) for number, one in enumerate(mixtures)]
        for name, members in self._by_indicator(strata):
            metrics |= rank_figures(members, [name], "strata_rho")
            table += [stratum_row(one, name, number) for number, one in enumerate(members)]
        return Evaluation({"": metrics}, table, failed, rule_of(fit, config.indicators, metrics))

    def _means(self, name: str, data_sets: Sequence[Any], models: Sequence[str]) -> list[dict[str, float]]:
        if len(data_sets) != len(models):
            raise DataError(
                "E-EVAL-023",
                f"there are {len(data_sets)} {name} and {len(models)} models that were trained on them",
                fix="name a step that mixes and the step that trains on it: both have a variant for each mixture",
            )
        return [means(rows, self.config.indicators, f"{name}[{number}]") for number, rows in enumerate(data_sets)]

    def _check_strata(self, known: Sequence[Mapping[str, float]]) -> None:
        sorted_by = self.config.sorted_by
        if not sorted_by:
            return
        count, rest = divmod(len(known), len(sorted_by))
        uneven = rest or count < 2
        why = f"{len(known)} strata are not two or more for each of {len(sorted_by)} indicators" if uneven else None
        for number, name in enumerate(sorted_by if not uneven else ()):
            found = [stratum[name] for stratum in known[number * count : (number + 1) * count]]
            if found not in (sorted(found), sorted(found, reverse=True)):
                why = f"the mean {name} of strata {number * count} to {(number + 1) * count - 1} goes up and down"
                break
        if why:
            raise DataError(
                "E-EVAL-024",
                f"the strata are not those of {', '.join(sorted_by)}, one indicator after the other",
                why=why,
                fix="in the matrix, put the axis of indicators, in the order of sorted_by, before that of strata",
            )

    def _losses(self, inputs: Inputs, context: Context) -> tuple[Mapping[str, float], Mapping[str, Failed]]:
        """Loss by model, and the records that are left out."""
        models = list(dict.fromkeys([*self.config.mixture_models, *self.config.strata_models]))
        loss = InferenceLoss(InferenceLoss.Config(models=models, max_length=self.config.max_length))
        measured = loss.itune_evaluate(inputs={"records": inputs["records"]}, context=context)
        if not measured.metrics:
            said = next(iter(measured.failed.values()), None)
            raise DataError(
                "E-EVAL-025",
                "no record could be measured on every model",
                why=said.message if said else "there are none",
                fix="raise max_length, or look at what the steps before dropped (itune ledger)",
            )
        return {model: figures["example_mean"] for model, figures in measured.metrics.items()}, measured.failed

    def _matrix(self, mixtures: Sequence[Trained]) -> tuple[Array, Array]:
        """A row a mixture, a column an indicator; and the logarithms of the losses."""
        import numpy as np

        values = np.array([list(one.means.values()) for one in mixtures], np.float64)
        return values, np.log([one.loss for one in mixtures])

    def _check_determined(self, values: Array, target: Array, selection: Selection) -> None:
        varied = len(set(target)) > 1
        if varied and (determined(values) or not selection.most(len(target))):
            return
        names = list(self.config.indicators)
        same = constant(values)
        rows, columns = values.shape
        if not varied:
            why = "all models have the same loss"
        elif rows < columns + 2:
            why = f"{columns} indicators and an intercept need at least {columns + 2} mixtures; there are {rows}"
        elif same:
            why = f"the mean {names[same[0]]} is the same in all of them"
        else:
            why = "the means of one indicator are a sum of those of others"
        raise DataError(
            "E-EVAL-026", "the mixtures do not determine a rule", why=why, fix="leave indicators out, or add mixtures"
        )

    def _by_indicator(self, strata: Sequence[Trained]) -> list[tuple[str, Sequence[Trained]]]:
        names = self.config.sorted_by
        count = len(strata) // len(names) if names else 0
        return [(name, strata[number * count : (number + 1) * count]) for number, name in enumerate(names)]
