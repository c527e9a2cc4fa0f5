"""Keep the records of which a fitted rule predicts the lowest loss."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Self

from pydantic import Field, model_validator

from itune_core.api import (
    ComponentConfig,
    Context,
    DataError,
    Drop,
    Failed,
    Filter,
    Inputs,
    Keep,
    Record,
    RowError,
    Rule,
    ScoreColumn,
    StepRef,
    hookimpl,
)
from itune_filters.scores.columns import number, spelt
from itune_filters.scores.selecting import figures, one_of, quota, ranks


class RuleSelect(Filter):
    r"""Keep the records of which a rule predicts the lowest value: InstructMining's selection.

    The rule is what an evaluator step left (``evaluators/rule-fit``), linear in indicators :math:`I` that are score
    columns here:

    .. math:: \hat y = b_0 + \sum_i b_i I_i

    `columns` says which column is which indicator. It may name more than the rule uses, since which indicators a fit
    keeps is not known when a recipe is written; those are not read. One that the rule uses and `columns` lacks is an
    error (``E-FILTER-016``). Of equal predictions the record whose id sorts first is taken; `share` is rounded up. With
    `reverse` the highest predictions are kept, the worst records if the rule is right: what a validation compares with.

    A rule that was fitted on means of data sets ranks single records only as far as its R² allows, and holds for the
    models and scorers that it was fitted with. A fit may keep no indicator: such a rule predicts the same of all, and
    what is kept is then chosen by id alone. A score that is null fails its record (``E-FILTER-010``), one that is no
    number too (``E-FILTER-011``), and a prediction that is no finite number (``E-FILTER-012``).

    Dropped: ``not-selected``, with prediction and rank.

    Source: arXiv:2307.06290.
    """

    class Config(ComponentConfig):
        rule: StepRef = Field(description="The evaluator step that left the rule.", examples=["fitted"])
        columns: dict[str, ScoreColumn] = Field(
            min_length=1,
            description="Score column by indicator, as the rule calls it.",
            examples=[{"length": "score.length.response_words", "perplexity": "score.perplexity.perplexity"}],
        )
        size: int | None = Field(None, ge=1, examples=[1000], description="How many records to keep.")
        share: float | None = Field(None, gt=0, lt=1, description="Share of records to keep.")
        reverse: bool = Field(False, description="Whether to keep the highest predictions instead.")

        @model_validator(mode="after")
        def _one_of_both(self) -> Self:
            one_of(size=self.size, share=self.share)
            return self

    def reads(self) -> Sequence[str]:
        return tuple(dict.fromkeys(self.config.columns.values()))

    @hookimpl
    def itune_filter(self, inputs: Inputs, context: Context) -> Iterator[Keep | Drop | Failed]:
        # The hook itself: it needs the context for the rule, and a verdict depends on all predictions.
        rule = context.rule(self.config.rule)
        missing = sorted(rule.coefficients.keys() - self.config.columns.keys())
        if missing:
            raise DataError(
                "E-FILTER-016",
                f"the rule of {self.config.rule!r} needs indicators that have no column here: {', '.join(missing)}",
                why=f"it was fitted on {', '.join(f'{name}: {rule.indicators.get(name)}' for name in missing)}",
                fix="name a score column of theirs under `columns`",
            )
        used = {name: self.config.columns[name] for name in rule.coefficients}
        found = figures(inputs["records"], list(used.values()), lambda record: _predicted(rule, used, record))
        rank_of = ranks(found.known, found.ids, highest=self.config.reverse)
        kept = quota(self.config.size, self.config.share, len(found.known))
        for row in range(len(found.ids)):
            if row in found.failed:
                yield found.failed[row]
            elif rank_of[row] <= kept:
                yield Keep()
            else:
                said = f"predicted {rule.target} is {spelt(found.known[row])}, rank {rank_of[row]} of {len(rank_of)}"
                yield Drop("not-selected", f"{said}, {kept} are kept")


def _predicted(rule: Rule, columns: dict[str, str], record: Record) -> float:
    values = {name: number(record, column) for name, column in columns.items()}
    predicted = rule.predict(values)
    if not math.isfinite(predicted):
        raise RowError(f"the {rule.target} that the rule predicts of {values} is no finite number", "E-FILTER-012")
    return predicted
