"""What a linear rule predicts of each record."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from itune_core.api import (
    ComponentConfig,
    Context,
    DataError,
    Failed,
    Inputs,
    Record,
    RowError,
    Rule,
    ScoreColumn,
    Scorer,
    StepRef,
    hookimpl,
    records,
)
from itune_scorers.published_rules import PUBLISHED

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]


class LinearRule(Scorer):
    r"""A linear rule over score columns: :math:`b_0 + \sum_j b_j I_j`.

    The rule is one that a step fitted (`rule: STEP`, of `evaluators/rule-fit`), one of the published ones (`builtin`),
    or written in the recipe (`coefficients` and `intercept`). `columns` says where each of its indicators stands; more
    than it needs do no harm, so that a rule may be fitted anew without touching the recipe. One column:

    - ``score.<step>.predicted``: the prediction; of InstructMining's rules, the logarithm of the inference loss in nats
      per token, so lower is better.

    A fitted rule may have no predictors: it then predicts its intercept for every record, and says nothing of which is
    better. **The published coefficients belong to the model that was tuned and to the scale of the indicators they were
    fitted on** (a reward model's units, an embedding's distances): with others the prediction is no loss, and may not
    even rank. Fit your own. A rule is about means over data sets; that it ranks single records is an assumption of
    the method, to be tested.

    Source: InstructMining, arXiv:2307.06290; its first version fitted reward, length and 6-NN distance on 78 mixtures
    with LLaMA-7B, its third reward and UniEval's indicators with LLaMA-2-7B (R² 0.52).
    """

    columns = {"predicted": "float64"}

    class Config(ComponentConfig):
        columns: dict[Name, ScoreColumn] = Field(
            description="Score column by indicator of the rule.",
            examples=[{"length": "score.length.response_words"}],
        )
        rule: StepRef | None = Field(None, description="The step that fitted the rule.")
        builtin: Literal["instructmining-v1", "instructmining-v3"] | None = Field(
            None,
            description="A published rule. v1 has reward, length, knn; v3 has reward, understandability, naturalness, "
            "coherence. Its coefficients belong to the model and indicators it was fitted with.",
        )
        coefficients: dict[Name, float] | None = Field(
            None, min_length=1, description="Coefficient by indicator.", examples=[{"length": 0.002}]
        )
        intercept: float | None = Field(
            None, description="With `coefficients`: what is added to their sum; 0 if unset."
        )

        @model_validator(mode="after")
        def _one_rule_with_its_columns(self) -> Self:
            if [self.rule, self.builtin, self.coefficients].count(None) != 2:
                raise ValueError("set one of `rule`, `builtin` and `coefficients`")
            if self.intercept is not None and self.coefficients is None:
                raise ValueError("`intercept` belongs to `coefficients`")
            needed = PUBLISHED[self.builtin].coefficients if self.builtin else self.coefficients or {}
            missing = [name for name in needed if name not in self.columns]
            if missing:
                raise ValueError(f"`columns` lacks {', '.join(missing)}, of which the rule needs the score column")
            return self

    def reads(self) -> Sequence[str]:
        return tuple(dict.fromkeys(self.config.columns.values()))

    @hookimpl
    def itune_score(self, inputs: Inputs, context: Context) -> Iterator[Mapping[str, Any] | Failed]:
        """The rule, applied to every record.

        Raises:
            DataError: ``E-SCORE-050`` the fitted rule needs an indicator that `columns` does not have; and what
                ``context.rule`` says of a step that left none.
        """
        config = self.config
        rule = self._rule(context)
        missing = [name for name in rule.coefficients if name not in config.columns]
        if missing:
            known = ", ".join(f"{name}: {rule.indicators[name]}" for name in missing if name in rule.indicators)
            raise DataError(
                "E-SCORE-050",
                f"the rule of {config.rule!r} needs {', '.join(missing)}, which `columns` does not have",
                why="the step that fitted it kept these indicators",
                fix=f"add to `columns`: {known or missing[0] + ': score.STEP'}",
            )
        columns = {name: config.columns[name] for name in rule.coefficients}
        return context.map(partial(predicted, rule, columns), records(inputs["records"]))

    def _rule(self, context: Context) -> Rule:
        config = self.config
        if config.rule is not None:
            return context.rule(config.rule)
        if config.builtin is not None:
            return PUBLISHED[config.builtin]
        return Rule("predicted", config.intercept or 0.0, config.coefficients)


def predicted(rule: Rule, columns: Mapping[str, str], record: Record) -> Mapping[str, float]:
    """What `rule` predicts of `record`.

    Raises:
        RowError: ``E-SCORE-051`` a column is null or not a number, or the prediction is none.
    """
    values = {}
    for indicator, column in columns.items():
        value = record[column]
        if not isinstance(value, (bool, int, float)) or not math.isfinite(value):
            raise RowError(
                f"{column} is {'missing' if value is None else repr(value)}",
                "E-SCORE-051",
                why=f"the rule needs it as {indicator}",
                fix="see why with itune ledger; drop such records with a filter first",
            )
        values[indicator] = float(value)
    try:
        found = rule.predict(values)
    except (OverflowError, ValueError):  # a partial sum is too large, or infinities of both signs meet
        found = math.nan
    if not math.isfinite(found):
        said = ", ".join(f"{columns[indicator]} is {value:g}" for indicator, value in values.items())
        raise RowError("the prediction is no finite number", "E-SCORE-051", why=said, fix="filter such records out")
    return {"predicted": found}
