"""Do models of one kind have a lower loss than those of another, or is it chance?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field, StringConstraints, model_validator

from itune_core.api import (
    ComponentConfig,
    Context,
    DataError,
    Evaluation,
    Evaluator,
    Input,
    Inputs,
    Kind,
    ModelRef,
    hookimpl,
)
from itune_evaluators.inference_loss import InferenceLoss

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[np.float64]]

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
LEVELS = (2.5, 97.5)


class PairedBootstrap(Evaluator):
    r"""Compare the inference loss of groups of models with that of one of the groups, the `baseline`.

    A group holds models that differ by chance alone: trained with the same settings and other seeds, on other random
    samples. All are measured on the same records, with the requests of `evaluators/inference-loss` (what that step has
    asked is not asked again); a record's loss is that step's, the mean over its references, in nats per token. Then
    records are drawn with replacement, and models within each group, `draws` times, and each time the difference of
    the groups' mean losses is taken: its interval says what other records and other seeds would have changed. A group
    of one model has no seeds to draw from; its interval is about records alone, and too narrow. Three are still few.

    Figures of each group: ``GROUP.loss``, mean over records and models; ``GROUP.lowest`` and ``GROUP.highest``, of its
    models; ``GROUP.models``; and, but for the baseline, ``GROUP.difference`` (below 0: better than the baseline) with
    ``.difference_low`` and ``.difference_high``, its 95 % percentile interval, and ``GROUP.not_better``, the share of
    draws in which it was not below 0. Also ``records``, how many there are.

    The table has a row a record, with the mean loss of each group on it. A record that one of the models cannot be
    measured on is left out for all of them, and stands in the ledger.

    Source: Efron and Tibshirani (1993), "An Introduction to the Bootstrap"; drawing records and models at once as in
    Owen (2007), "The pigeonhole bootstrap", Annals of Applied Statistics 1, 386-411.
    """

    inputs = {"records": Input((Kind.CONVERSATION, Kind.PROMPT))}

    class Config(ComponentConfig):
        groups: dict[Name, list[ModelRef]] = Field(
            min_length=2,
            description="Models by name of their group.",
            examples=[{"chosen": ["sft_chosen"], "random": ["sft_random"]}],
        )
        baseline: Name = Field(description="The group that the others are compared with.", examples=["random"])
        draws: int = Field(10_000, ge=100, description="How many times records and models are drawn.")
        max_length: int = Field(
            2048, ge=2, description="Most tokens of prompt and reference together; a longer record fails, never cut."
        )

        @model_validator(mode="after")
        def _groups_can_be_compared(self) -> Self:
            if self.baseline not in self.groups:
                raise ValueError(f"the baseline {self.baseline!r} is not one of `groups`")
            empty = [name for name, models in self.groups.items() if not models]
            if empty:
                raise ValueError(f"the group {empty[0]!r} has no model")
            for name, models in self.groups.items():
                if len(set(models)) < len(models):
                    raise ValueError(f"the group {name!r} names a model twice, which would count twice")
            return self

    @hookimpl
    def itune_evaluate(self, inputs: Inputs, context: Context) -> Evaluation:
        """Measure all models, then draw.

        Raises:
            DataError: ``E-EVAL-027`` no record could be measured on every model.
        """
        config = self.config
        models = list(dict.fromkeys(model for group in config.groups.values() for model in group))
        loss = InferenceLoss(InferenceLoss.Config(models=models, max_length=config.max_length))
        measured = loss.itune_evaluate(inputs={"records": inputs["records"]}, context=context)
        by_model: dict[str, dict[str, float]] = {model: {} for model in models}
        for row in measured.table:
            by_model[row["model"]][row["id"]] = row["loss"]
        ids = sorted(by_model[models[0]])  # rows are drawn by number: their order must not count
        if not ids:
            raise DataError(
                "E-EVAL-027",
                "no record could be measured on every model",
                why=next((failure.message for failure in measured.failed.values()), "there are none"),
                fix="raise max_length, or look at what the steps before dropped (itune ledger)",
            )
        groups = {
            name: [[by_model[model][key] for key in ids] for model in group] for name, group in config.groups.items()
        }
        drawn = self._drawn(groups, len(ids), context)
        table = [
            {
                "id": key,
                "model": "",
                **{name: fmean(losses[place] for losses in group) for name, group in groups.items()},
            }
            for place, key in enumerate(ids)
        ]
        return Evaluation({"": {"records": len(ids), **self._figures(groups, drawn)}}, table, measured.failed)

    def _drawn(
        self, groups: Mapping[str, Sequence[Sequence[float]]], records: int, context: Context
    ) -> dict[str, Array]:
        """By group, its mean loss in each draw."""
        import numpy as np

        rng = np.random.default_rng(context.rng("draws").getrandbits(128))
        found = {name: np.empty(self.config.draws) for name in groups}
        losses = {name: np.array(group) for name, group in groups.items()}
        for draw in range(self.config.draws):
            rows = rng.integers(records, size=records)
            for name, group in losses.items():
                times = np.bincount(rng.integers(len(group), size=len(group)), minlength=len(group))
                found[name][draw] = times @ group[:, rows].mean(axis=1) / len(group)
        return found

    def _figures(self, groups: Mapping[str, Sequence[Sequence[float]]], drawn: Mapping[str, Array]) -> dict[str, float]:
        import numpy as np

        figures: dict[str, float] = {}
        means = {name: [fmean(losses) for losses in group] for name, group in groups.items()}
        baseline = self.config.baseline
        for name, found in means.items():
            figures |= {f"{name}.loss": fmean(found), f"{name}.lowest": min(found), f"{name}.highest": max(found)}
            figures[f"{name}.models"] = len(found)
            if name != baseline:
                differences = drawn[name] - drawn[baseline]
                low, high = np.percentile(differences, LEVELS)
                figures |= {
                    f"{name}.difference": fmean(found) - fmean(means[baseline]),
                    f"{name}.difference_low": float(low),
                    f"{name}.difference_high": float(high),
                    f"{name}.not_better": float((differences >= 0).mean()),
                }
        return figures
