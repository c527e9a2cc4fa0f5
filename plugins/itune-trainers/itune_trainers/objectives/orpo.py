"""Odds ratio preference optimisation: supervised tuning and preferences in one step, without a reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from itune_trainers.pairs import Answers, PairObjective, Pairs, PairSettings

if TYPE_CHECKING:
    from torch import Tensor


class ORPO(PairObjective):
    r"""Odds ratio preference optimisation.

    .. math:: -m(w) - \lambda \log \sigma\left(\log \frac{P(w)}{1 - P(w)} - \log \frac{P(l)}{1 - P(l)}\right)

    with :math:`m(y)` the mean log-probability of a token of answer :math:`y` and :math:`P(y) = e^{m(y)}`. The first
    term is the likelihood of the chosen answer; TRL's is that of its prompt, too.

    Source: arXiv:2403.07691, equations 4 and 7.
    """

    class Config(PairSettings):
        """Settings of odds ratio preference optimisation."""

        weight: float = Field(0.1, gt=0, description="lambda: weight of the odds ratio; TRL calls it beta.")

    def pair_loss(self, pairs: Pairs) -> Tensor:
        from itune_trainers.losses import orpo_loss

        return orpo_loss(pairs.chosen.mean, pairs.rejected.mean, weight=self.config.weight)

    def reward(self, answers: Answers) -> Tensor:
        return self.config.weight * answers.mean
