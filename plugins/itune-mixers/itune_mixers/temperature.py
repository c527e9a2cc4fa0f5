"""Temperature-scaled mixing: between proportional and equal shares."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from itune_mixers.rates import RateMixer
from itune_mixers.sources import Sources, capped


class Temperature(RateMixer):
    r"""Draw from each source in proportion to the root of its size, so that small sources count for more.

    With :math:`r_m = \min(e_m, K) / \sum_n \min(e_n, K)`, where :math:`e_m` is the rows in source :math:`m` and
    :math:`K` the cap, source :math:`m` is drawn from at the rate

    .. math:: p_m = \frac{r_m^{1/T}}{\sum_n r_n^{1/T}}

    ``temperature: 1`` is ``mixers/proportional``, draw for draw; the higher it is, the nearer are equal shares. An
    epoch has `size` rows; unset, the sum of :math:`\min(e_n, K)`, so that small sources are repeated where their share
    asks for more than they have. An empty source has the rate 0 at every temperature.

    Source: T5, arXiv:1910.10683, section 3.5.2; before it multilingual BERT.
    """

    class Config(RateMixer.Config):
        temperature: float = Field(2.0, ge=1, description="T: 1 is proportional; the higher, the nearer equal shares.")
        cap: int | None = Field(None, ge=1, description="K: the most rows a source counts for; unset: no cap.")

    def rates(self, sources: Sources) -> Sequence[float]:
        # The sum of r before the root is the same factor in all p, and falls out.
        return [rows ** (1 / self.config.temperature) for rows in capped(sources.sizes, self.config.cap)]

    def default_size(self, sources: Sources) -> int:
        return sum(capped(sources.sizes, self.config.cap))
