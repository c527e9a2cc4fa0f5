"""Identity preference optimisation: a margin is aimed at, and neither more nor less than it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from itune_trainers.pairs import PairObjective, Pairs, ReferenceSettings

if TYPE_CHECKING:
    from torch import Tensor


class IPO(PairObjective):
    r"""Identity preference optimisation.

    .. math:: \left(\frac{\delta(w)}{|w|} - \frac{\delta(l)}{|l|} - \frac{1}{2 \beta}\right)^2

    Log-ratios are means over tokens. The paper does not say so; its authors have confirmed it to TRL, and of sums the
    loss would grow with the square of the answers' lengths.

    Source: arXiv:2310.12036, equation 17; :math:`\beta` is its :math:`\tau`.
    """

    needs_reference = True

    class Config(ReferenceSettings):
        """Settings of identity preference optimisation."""

        beta: float = Field(0.1, gt=0, description="The margin aimed at is 1 / (2 beta) per token.")

    def pair_loss(self, pairs: Pairs) -> Tensor:
        from itune_trainers.losses import ipo_loss

        chosen, rejected = (side.ratio / side.tokens for side in (pairs.chosen, pairs.rejected))
        return ipo_loss(chosen, rejected, beta=self.config.beta)
