"""Self-play preference optimisation: log-ratios are aimed at the rate at which an answer wins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from itune_trainers.algorithm import Logps
from itune_trainers.pairs import PairObjective, Pairs, ReferenceSettings

if TYPE_CHECKING:
    from torch import Tensor


class SPPO(PairObjective):
    r"""Self-play preference optimisation.

    .. math:: \left(\delta(w) - \frac{p - 1/2}{\beta}\right)^2 + \left(\delta(l) + \frac{p - 1/2}{\beta}\right)^2

    with :math:`p` the record's `probability` that the chosen answer wins. Where it is not said it is 1, which TRL calls
    `sppo_hard`.

    Source: arXiv:2405.00675, equation 4.7; :math:`1/\beta` is its :math:`\eta`.
    """

    needs_reference = True

    class Config(ReferenceSettings):
        """Settings of self-play preference optimisation."""

    def loss(self, logps: Logps) -> Tensor:
        from itune_trainers.losses import sppo_loss

        pairs = Pairs.of(logps)
        return sppo_loss(pairs.chosen.ratio, pairs.rejected.ratio, beta=self.config.beta, probability=pairs.probability)
