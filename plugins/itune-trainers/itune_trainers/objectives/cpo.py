"""Contrastive preference optimisation: DPO without its reference, and the likelihood of the chosen answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from itune_trainers.pairs import PairObjective, Pairs, PairSettings

if TYPE_CHECKING:
    from torch import Tensor


class CPO(PairObjective):
    r"""Contrastive preference optimisation.

    .. math:: -\log \sigma(\beta (\log \pi(w) - \log \pi(l))) - \alpha\, m(w)

    with log-probabilities that are sums over tokens, and :math:`m(w)` their mean for the chosen answer, as in TRL; the
    paper has their sum there, too.

    Source: arXiv:2401.08417.
    """

    class Config(PairSettings):
        """Settings of contrastive preference optimisation."""

        beta: float = Field(0.1, gt=0, description="Scale of the difference of log-probabilities.")
        alpha: float = Field(1.0, ge=0, description="Weight of the likelihood of the chosen answer; TRL's cpo_alpha.")

    def pair_loss(self, pairs: Pairs) -> Tensor:
        from itune_trainers.losses import cpo_loss

        chosen, rejected = pairs.chosen, pairs.rejected
        return cpo_loss(
            chosen.logps, rejected.logps, beta=self.config.beta, likelihood=chosen.mean, weight=self.config.alpha
        )
