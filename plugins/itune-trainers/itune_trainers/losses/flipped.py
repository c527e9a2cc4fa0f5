"""Preferences of which a known share is the wrong way round."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def robust_loss(chosen: Tensor, rejected: Tensor, *, beta: float, flipped: float) -> Tensor:
    """The loss whose mean over flipped labels is DPO's over true ones (robust DPO, arXiv 2403.00409):
    ``((1 - e) * L(w, l) - e * L(l, w)) / (1 - 2 e)``, L the loss of DPO.

    It is not bounded below: a pair that the model is sure of is pushed on as long as e > 0.

    Args:
        chosen, rejected: (P,) log-ratios delta of the two answers.
        beta: as in DPO.
        flipped: e, the share of wrong labels, in [0, 0.5); 0 is DPO.

    Returns:
        (P,) one loss a pair; log 2 where the model is the reference.
    """
    logits = beta * (chosen - rejected)
    return ((1 - flipped) * -F.logsigmoid(logits) + flipped * F.logsigmoid(-logits)) / (1 - 2 * flipped)
