"""Examples-proportional mixing: large sources give more, but none more than its cap allows."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from itune_mixers.rates import RateMixer
from itune_mixers.sources import Sources, capped


class Proportional(RateMixer):
    r"""Draw from each source in proportion to its size, as if none were larger than `cap`.

    With :math:`e_m` rows in source :math:`m` and the cap :math:`K`, source :math:`m` is drawn from at the rate

    .. math:: r_m = \frac{\min(e_m, K)}{\sum_n \min(e_n, K)}

    The cap is on the rate: which rows of a large source are drawn is left to chance, and further epochs draw others.
    An epoch has `size` rows; unset, the sum of :math:`\min(e_n, K)`. An empty source has the rate 0.

    Source: T5, arXiv:1910.10683, section 3.5.2 (the formula); FLAN, arXiv:2109.01652 (K = 3000).
    """

    class Config(RateMixer.Config):
        cap: int | None = Field(None, ge=1, description="K: the most rows a source counts for; unset: no cap.")

    def rates(self, sources: Sources) -> Sequence[float]:
        return capped(sources.sizes, self.config.cap)

    def default_size(self, sources: Sources) -> int:
        return sum(capped(sources.sizes, self.config.cap))
