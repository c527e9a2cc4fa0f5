"""The hinge of SLiC on log-ratios."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from itune_trainers.pairs import PairObjective, Pairs, ReferenceSettings

if TYPE_CHECKING:
    from torch import Tensor


class SLiCNorm(PairObjective):
    r"""SLiC's hinge, normalised by the reference.

    .. math:: \max(0, 1 - \beta (\delta(w) - \delta(l)))

    This is TRL's `hinge`, which its documentation calls SLiC; SLiC's own has no reference (``trainers/slic``).

    Source: arXiv:2309.06657 (hinge-norm).
    """

    needs_reference = True

    class Config(ReferenceSettings):
        """Settings of the normalised hinge."""

        beta: float = Field(0.1, gt=0, description="One over the margin of the log-ratios that is asked for.")

    def pair_loss(self, pairs: Pairs) -> Tensor:
        from itune_trainers.losses import hinge_norm_loss

        return hinge_norm_loss(pairs.chosen.ratio, pairs.rejected.ratio, gamma=self.config.beta)
