"""Robust DPO: an unbiased loss where a known share of the labels is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from itune_trainers.pairs import PairObjective, Pairs, ReferenceSettings

if TYPE_CHECKING:
    from torch import Tensor


class RobustDPO(PairObjective):
    r"""Robust DPO: the loss whose mean over wrong labels is that of DPO over right ones.

    .. math:: \frac{(1-\epsilon) L(w, l) - \epsilon L(l, w)}{1 - 2 \epsilon}

    with :math:`L` the loss of DPO and :math:`\epsilon` the share of wrong labels. It is not bounded below.

    Source: arXiv:2403.00409.
    """

    needs_reference = True

    class Config(ReferenceSettings):
        """Settings of robust DPO."""

        label_smoothing: float = Field(
            0.1, ge=0, lt=0.5, description="Share of labels that are the wrong way round; 0 is DPO."
        )

    def pair_loss(self, pairs: Pairs) -> Tensor:
        from itune_trainers.losses import robust_loss

        config = self.config
        return robust_loss(pairs.chosen.ratio, pairs.rejected.ratio, beta=config.beta, flipped=config.label_smoothing)
