"""RSO's hinge loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from itune_trainers.objectives.rso_settings import RSOSettings
from itune_trainers.pairs import Answers, PairObjective, Pairs

if TYPE_CHECKING:
    from torch import Tensor


class RSOHinge(PairObjective):
    r"""The loss that RSO calls hinge-norm, for answers sampled by statistical rejection.

    .. math:: \max(0, 1 - \gamma (\delta(w) - \delta(l)))

    The constant :math:`\gamma` is this loss's own; :math:`\beta` belongs to the sampling of the answers.

    Source: arXiv:2309.06657.
    """

    needs_reference = True

    class Config(RSOSettings):
        """Settings of RSO's hinge loss."""

    def pair_loss(self, pairs: Pairs) -> Tensor:
        from itune_trainers.losses import hinge_norm_loss

        return hinge_norm_loss(pairs.chosen.ratio, pairs.rejected.ratio, gamma=self.config.gamma)

    def reward(self, answers: Answers) -> Tensor:
        return self.config.gamma * answers.ratio
