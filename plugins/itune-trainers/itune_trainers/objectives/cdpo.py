"""Conservative DPO: labels are taken to be wrong now and then."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from itune_trainers.algorithm import Logps
from itune_trainers.objectives.dpo import DPO
from itune_trainers.pairs import ReferenceSettings

if TYPE_CHECKING:
    from torch import Tensor


class CDPO(DPO):
    r"""Conservative DPO: DPO's loss as if each label were wrong with probability :math:`\epsilon`.

    .. math:: (1-\epsilon)\, L(w, l) + \epsilon\, L(l, w), \qquad L(w, l) = -\log \sigma(\beta (\delta(w) - \delta(l)))

    A record's own `probability` p becomes :math:`p (1-\epsilon) + (1-p) \epsilon`. TRL 1.16 ignores ``label_smoothing``
    with its loss `sigmoid`, so this loss is not to be had there.

    Source: E. Mitchell, A note on DPO with noisy preferences and relationship to IPO, 2023, equation 3.
    """

    class Config(ReferenceSettings):
        """Settings of conservative DPO."""

        label_smoothing: float = Field(
            0.1, ge=0, lt=0.5, description="How likely a label is the wrong way round; 0 is DPO."
        )

    def loss(self, logps: Logps) -> Tensor:
        wrong = self.config.label_smoothing
        return super().loss(replace(logps, labels=logps.labels * (1 - wrong) + (1 - logps.labels) * wrong))
