"""Shares by size and quality."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import Field

from itune_core.api import ScoreColumn
from itune_mixers.rates import RateMixer
from itune_mixers.scores import read_scores
from itune_mixers.sources import Sources


class QualityWeighted(RateMixer):
    r"""Draw more from sources whose rows score higher.

    With :math:`e_i` rows in source :math:`i` and :math:`\bar q_i` the mean of their scores, it is drawn from at the
    rate

    .. math:: p_i = \frac{e_i^\alpha \exp(\lambda \bar q_i)}{\sum_j e_j^\alpha \exp(\lambda \bar q_j)}

    so that of two sources of equal size the one whose mean is higher by :math:`1/\lambda` gives e = 2.72 times as many
    rows. What :math:`\lambda` means thus depends on the scale of the score; below 0 it favours low scores (of
    perplexity, say). ``alpha: 0`` leaves the sizes out. Within a source every row has the same chance.

    Every source must have the column, which is called after the step that scored it. So sources of their own formatters
    are scored by one step that is a variant of each::

        steps:
          rows:   {variant: source}
          words:  {uses: scorers/length, from: rows}
          mixed:  {uses: mixers/quality-weighted, from: words, with: {score: score.words.response_words}}
        matrix:
          source:
            dolly: {uses: formatters/dolly, with: {path: dolly.jsonl}}
            lima:  {uses: formatters/lima, with: {path: lima.jsonl}}

    An epoch has `size` rows; unset, as many as all sources have. An empty source has no mean, and the rate 0. A row
    without a score is an error that names it (``E-MIX-005``).

    Source: this package; that sources of high quality deserve a larger share is from the survey arXiv:2303.18223,
    section 5.1.
    """

    class Config(RateMixer.Config):
        score: ScoreColumn = Field(
            description="The column that says how good a row is: `score.STEP` or `score.STEP.PART` of any scorer.",
            examples=["score.length.response_words"],
        )
        strength: float = Field(
            1.0, description="λ: how much quality counts; 0: not at all; below 0: low scores are the good ones."
        )
        alpha: float = Field(1.0, ge=0, description="How much size counts: 1 in proportion, 0 not at all.")

    def reads(self) -> Sequence[str]:
        return (self.config.score,)

    def rates(self, sources: Sources) -> Sequence[float]:
        scores = read_scores(sources, self.config.score)
        logs = [
            self.config.alpha * math.log(len(pool)) + self.config.strength * math.fsum(scores[pool]) / len(pool)
            if len(pool)
            else -math.inf
            for pool in sources.pools
        ]
        highest = max(logs, default=0.0)
        if highest == -math.inf:
            return [0.0] * len(logs)
        # The same factor in all rates; without it exp() would overflow on scores of a few hundred.
        return [math.exp(log - highest) for log in logs]
