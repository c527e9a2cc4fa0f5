"""Sequence likelihood calibration from human feedback."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from itune_trainers.pairs import Answers, PairObjective, Pairs, PairSettings

if TYPE_CHECKING:
    from torch import Tensor


class SLiC(PairObjective):
    r"""SLiC-HF: a margin between the answers, and the likelihood of the chosen one as regulariser.

    .. math:: \max(0, \delta - \log \pi(w) + \log \pi(l)) - \lambda \log \pi(w)

    Log-probabilities are sums over tokens, and there is no reference. The paper regularises by the answer of the
    supervised data; here, as in the HALOs code, it is the chosen one. What TRL calls `hinge` is another loss:
    ``trainers/slic-norm``. The defaults of `margin` and `regulariser` are those of that code.

    Source: arXiv:2305.10425.
    """

    class Config(PairSettings):
        """Settings of SLiC-HF."""

        margin: float = Field(1.0, gt=0, description="How far apart the log-probabilities shall be.")
        regulariser: float = Field(0.1, ge=0, description="Weight of the log-probability of the chosen answer.")

    def pair_loss(self, pairs: Pairs) -> Tensor:
        from itune_trainers.losses import slic_loss

        chosen, rejected = pairs.chosen.logps, pairs.rejected.logps
        return slic_loss(
            chosen, rejected, margin=self.config.margin, regulariser=self.config.regulariser, target=chosen
        )

    def reward(self, answers: Answers) -> Tensor:
        return answers.logps
