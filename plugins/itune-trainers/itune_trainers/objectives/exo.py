"""Efficient exact optimisation: the reverse divergence of preferences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from itune_trainers.algorithm import Logps
from itune_trainers.pairs import PairObjective, Pairs, ReferenceSettings

if TYPE_CHECKING:
    from torch import Tensor


class EXO(PairObjective):
    r"""Efficient exact optimisation of the alignment objective (EXO-pref).

    .. math:: q \log \frac{q}{p} + (1 - q) \log \frac{1 - q}{1 - p}, \qquad q = \sigma(\beta (\delta(w) - \delta(l)))

    A label says :math:`p`: ``1 - label_smoothing`` where the record has no `probability`; else that probability,
    smoothed in the same way. It must not be 0 or 1, where the divergence has no bound.

    Source: arXiv:2402.00856, equation 16.
    """

    needs_reference = True

    class Config(ReferenceSettings):
        """Settings of efficient exact optimisation."""

        label_smoothing: float = Field(
            1e-3, gt=0, lt=0.5, description="How likely a label is the wrong way round; above 0."
        )

    def loss(self, logps: Logps) -> Tensor:
        from itune_trainers.losses import exo_loss

        pairs, wrong = Pairs.of(logps), self.config.label_smoothing
        probability = pairs.probability * (1 - wrong) + (1 - pairs.probability) * wrong
        return exo_loss(pairs.chosen.ratio, pairs.rejected.ratio, beta=self.config.beta, probability=probability)
