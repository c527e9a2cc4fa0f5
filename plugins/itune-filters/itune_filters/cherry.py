"""Keep the answers that an instruction helps with least, yet helps: cherry data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Self

from pydantic import Field, model_validator

from itune_core.api import ComponentConfig, Context, Drop, Failed, Filter, Inputs, Keep, Record, ScoreColumn, hookimpl
from itune_filters.scores.columns import number, spelt_apart
from itune_filters.scores.selecting import figures, one_of, quota, ranks


class Cherry(Filter):
    r"""Keep the records of highest instruction-following difficulty, of those where it is at most 1.

    The difficulty of an answer :math:`A` to an instruction :math:`Q` is the ratio of its mean negative log-likelihood
    per token with and without the instruction, a column that ``scorers/ifd`` writes:

    .. math:: \mathrm{IFD}(Q, A) = \frac{s(A \mid Q)}{s(A)}

    Above 1 the instruction makes its own answer less likely, which tells of a mismatch: those go first. Of the others
    the highest are the ones from which a model has most to learn; of equal ones the record whose id sorts first is
    taken. The share is of those others, rounded up.

    The paper takes 5 to 10 %. Very short answers have extreme ratios, in either direction: bound the length before
    (``filters/length``). A score that is null fails its record (``E-FILTER-010``), one that is no number too
    (``E-FILTER-011``).

    Dropped: ``ifd-too-high``, with the ratio; ``not-cherry``, with ratio and rank.

    Source: arXiv:2308.12032; the share of what is left as in https://github.com/tianyi-lab/Cherry_LLM, which rounds
    down.
    """

    class Config(ComponentConfig):
        ifd: ScoreColumn = Field(
            description="The column with the ratio: `score.STEP` or `score.STEP.PART` of an IFD scorer.",
            examples=["score.ifd"],
        )
        at_most: float = Field(1.0, gt=0, description="Highest ratio of a record that may be kept.")
        share: float | None = Field(0.1, gt=0, le=1, description="Share of those to keep, the highest.")
        size: int | None = Field(None, ge=1, description="How many to keep instead; then set `share: null`.")

        @model_validator(mode="after")
        def _one_of_both(self) -> Self:
            one_of(share=self.share, size=self.size)
            return self

    def reads(self) -> Sequence[str]:
        return (self.config.ifd,)

    @hookimpl
    def itune_filter(self, inputs: Inputs, context: Context) -> Iterator[Keep | Drop | Failed]:
        # The hook itself: a verdict depends on all ratios.
        column, bound = self.config.ifd, self.config.at_most
        found = figures(inputs["records"], [column], self._ratio)
        helped = {row: ratio for row, ratio in found.known.items() if ratio <= bound}
        kept = quota(self.config.size, self.config.share, len(helped))
        rank_of = ranks(helped, found.ids, highest=True)
        for row in range(len(found.ids)):
            if row in found.failed:
                yield found.failed[row]
                continue
            shown, at_most = spelt_apart(found.known[row], bound)
            if row not in rank_of:
                yield Drop("ifd-too-high", f"{column} is {shown}, not <= {at_most}")
            elif rank_of[row] > kept:
                yield Drop("not-cherry", f"{column} is {shown}, rank {rank_of[row]} of {len(helped)}, {kept} are kept")
            else:
                yield Keep()

    def _ratio(self, record: Record) -> float:
        return number(record, self.config.ifd)
