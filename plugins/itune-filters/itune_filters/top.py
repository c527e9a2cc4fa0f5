"""Keep the records with the highest, or lowest, scores."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from itune_core.api import (
    ComponentConfig,
    Context,
    Drop,
    Failed,
    Filter,
    Inputs,
    Keep,
    Record,
    RowError,
    ScoreColumn,
    hookimpl,
)
from itune_filters.scores.columns import number, spelt, spelt_apart
from itune_filters.scores.selecting import figures, one_of, quota, ranks

Group = Literal["source", "task", "category", "language"]


class Top(Filter):
    """Keep the records whose score is highest, or lowest: so many of them, a share, or all beyond a quantile.

    - `size`: that many records, or all where there are fewer;
    - `share`: that share of the records that have a score, rounded up;
    - `quantile`: the records at or above that quantile of the scores (with ``order: lowest`` at or below it), where the
      quantile lies between two scores if need be (linear interpolation). Equal scores are kept or dropped together.

    With `per` this is done in each group by itself: the best of every source, say. Of equal scores `size` and `share`
    take the record whose id sorts first, so that the order of rows plays no part. The order of what is kept is the one
    it had.

    A score that is null fails its record (``E-FILTER-010``) and counts in no share or quantile; so do a score that is
    no number (``E-FILTER-011``) and a record without the group's column (``E-FILTER-015``).

    Dropped: ``not-top``, with score and rank, or score and quantile.

    Source: this package.
    """

    class Config(ComponentConfig):
        score: ScoreColumn = Field(
            description="The column to rank by: `score.STEP` or `score.STEP.PART`.",
            examples=["score.length.response_words"],
        )
        size: int | None = Field(None, ge=1, examples=[1000], description="How many records to keep, of each group.")
        share: float | None = Field(None, gt=0, lt=1, description="Share of records to keep, of each group.")
        quantile: float | None = Field(None, gt=0, lt=1, description="Quantile of the scores to keep from.")
        order: Literal["highest", "lowest"] = Field("highest", description="Which end of the scores to keep.")
        per: Group | None = Field(None, description="Column whose values make groups; unset: all records are one.")

        @model_validator(mode="after")
        def _one_of_three(self) -> Self:
            one_of(size=self.size, share=self.share, quantile=self.quantile)
            return self

    def reads(self) -> Sequence[str]:
        return (self.config.score,)

    @hookimpl
    def itune_filter(self, inputs: Inputs, context: Context) -> Iterator[Keep | Drop | Failed]:
        # The hook itself: a verdict depends on all scores.
        rows, per = inputs["records"], self.config.per
        found = figures(rows, [self.config.score, *([per] if per else [])], self._score)
        values = rows[per][:] if per else None
        groups: dict[str, dict[int, float]] = defaultdict(dict)
        for row, score in found.known.items():
            groups[values[row] if values else ""][row] = score
        verdicts: dict[int, Keep | Drop | Failed] = dict(found.failed)
        for name, scores in groups.items():
            of = f" of {per} {name!r}" if per else ""
            judge = self._by_rank if self.config.quantile is None else self._by_quantile
            verdicts.update(judge(scores, found.ids, of))
        return (verdicts[row] for row in range(len(found.ids)))

    def _score(self, record: Record) -> float:
        per = self.config.per
        if per and record[per] is None:
            raise RowError(f"the record has no {per} to group by", "E-FILTER-015")
        return number(record, self.config.score)

    def _by_rank(self, scores: Mapping[int, float], ids: Sequence[str], of: str) -> Iterator[tuple[int, Keep | Drop]]:
        kept = quota(self.config.size, self.config.share, len(scores))
        for row, rank in ranks(scores, ids, highest=self.config.order == "highest").items():
            said = f"{self.config.score} is {spelt(scores[row])}, rank {rank} of {len(scores)}{of}, {kept} are kept"
            yield row, Keep() if rank <= kept else Drop("not-top", said)

    def _by_quantile(
        self, scores: Mapping[int, float], ids: Sequence[str], of: str
    ) -> Iterator[tuple[int, Keep | Drop]]:
        import numpy as np

        share = self.config.quantile
        bound = float(np.quantile(list(scores.values()), share))
        side, sign = ("below", 1) if self.config.order == "highest" else ("above", -1)
        for row, score in scores.items():
            one, other = spelt_apart(score, bound)
            said = f"{self.config.score} is {one}, {side} {other}, the {spelt(share)} quantile{of}"
            yield row, Keep() if sign * score >= sign * bound else Drop("not-top", said)
