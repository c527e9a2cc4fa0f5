"""RSO's logistic loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from itune_trainers.objectives.rso_settings import RSOSettings
from itune_trainers.pairs import Answers, PairObjective, Pairs

if TYPE_CHECKING:
    from torch import Tensor


class RSOSigmoid(PairObjective):
    r"""The loss that RSO calls sigmoid-norm, for answers sampled by statistical rejection.

    .. math:: -\log \sigma(\gamma (\delta(w) - \delta(l)))

    It is DPO's with a constant of its own: :math:`\beta` belongs to the sampling of the answers, and :math:`\gamma`
    need not be equal to it. TRL's `sigmoid_norm` is something else: DPO on means over tokens.

    Source: arXiv:2309.06657.
    """

    needs_reference = True

    class Config(RSOSettings):
        """Settings of RSO's logistic loss."""

    def pair_loss(self, pairs: Pairs) -> Tensor:
        from itune_trainers.losses import dpo_loss

        return dpo_loss(pairs.chosen.ratio, pairs.rejected.ratio, beta=self.config.gamma)

    def reward(self, answers: Answers) -> Tensor:
        return self.config.gamma * answers.ratio
