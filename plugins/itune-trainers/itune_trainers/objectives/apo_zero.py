"""Anchored preference optimisation: each answer against the reference, not against the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from itune_trainers.pairs import PairObjective, Pairs, ReferenceSettings

if TYPE_CHECKING:
    from torch import Tensor


class APOZero(PairObjective):
    r"""APO-zero: the chosen answer becomes likelier and the rejected one less likely, each against the reference.

    .. math:: 1 - \sigma(\beta\, \delta(w)) + \sigma(\beta\, \delta(l))

    For data whose chosen answers are better than what the model says.

    Source: arXiv:2408.06266, equation 7.
    """

    needs_reference = True

    class Config(ReferenceSettings):
        """Settings of anchored preference optimisation."""

    def pair_loss(self, pairs: Pairs) -> Tensor:
        from itune_trainers.losses import apo_zero_loss

        return apo_zero_loss(pairs.chosen.ratio, pairs.rejected.ratio, beta=self.config.beta)
