"""Direct preference optimisation: learn which of two answers is the better one, without a reward model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from itune_trainers.pairs import PairObjective, Pairs, ReferenceSettings

if TYPE_CHECKING:
    from torch import Tensor


class DPO(PairObjective):
    r"""Direct preference optimisation.

    .. math:: -\log \sigma(\beta (\delta(w) - \delta(l)))

    with :math:`\delta(y)` the log-ratio of answer :math:`y` under the model and its reference, :math:`w` the chosen
    answer and :math:`l` the rejected one. Soft labels make it conservative DPO.

    Source: arXiv:2305.18290, equation 7.
    """

    needs_reference = True

    class Config(ReferenceSettings):
        """Settings of direct preference optimisation."""

    def pair_loss(self, pairs: Pairs) -> Tensor:
        from itune_trainers.losses import dpo_loss

        return dpo_loss(pairs.chosen.ratio, pairs.rejected.ratio, beta=self.config.beta)
