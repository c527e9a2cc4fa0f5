"""The likelihood of the chosen answer, as a term beside a preference loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from itune_trainers.pairs import Answers, PairObjective, Pairs, PairSettings

if TYPE_CHECKING:
    from torch import Tensor


class Likelihood(PairObjective):
    """Negative log-likelihood of the chosen answer, per token of each.

    Not a trainer of its own: ``trainers/sft`` learns from conversations. Source: arXiv:2411.10442.
    """

    class Config(PairSettings):
        """No settings of its own."""

    def pair_loss(self, pairs: Pairs) -> Tensor:
        from itune_trainers.losses import sft_loss

        return sft_loss(pairs.chosen.logps, pairs.chosen.tokens)

    def reward(self, answers: Answers) -> Tensor:
        return answers.mean
