"""Simple preference optimisation: means over tokens, a margin, and no reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from itune_trainers.pairs import Answers, PairObjective, Pairs, PairSettings

if TYPE_CHECKING:
    from torch import Tensor


class SimPO(PairObjective):
    r"""Simple preference optimisation.

    .. math:: -\log \sigma(\beta (m(w) - m(l)) - \gamma)

    with :math:`m(y)` the mean log-probability of a token of answer :math:`y`. TRL has it under CPO, where ``cpo_alpha``
    must be set to 0: its default adds the likelihood of the chosen answer; and its default of 0.1 for beta is far too
    small for means.

    Source: arXiv:2405.14734.
    """

    class Config(PairSettings):
        """Settings of simple preference optimisation."""

        beta: float = Field(2.5, gt=0, description="Scale of the implied reward, beta times the mean log-probability.")
        gamma: float = Field(1.375, ge=0, description="The margin of the implied reward that is asked for.")

    def pair_loss(self, pairs: Pairs) -> Tensor:
        from itune_trainers.losses import simpo_loss

        config = self.config
        return simpo_loss(pairs.chosen.mean, pairs.rejected.mean, beta=config.beta, gamma=config.gamma)

    def reward(self, answers: Answers) -> Tensor:
        return self.config.beta * answers.mean
