"""The Bradley-Terry model of comparisons, as reward models learn it."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def bradley_terry_loss(chosen: Tensor, rejected: Tensor, *, margin: Tensor, centring: float) -> Tensor:
    """``-log sigmoid(r(w) - r(l) - m) + c (r(w) + r(l))^2`` (arXiv 2203.02155, equation 1).

    The margin m asks for more where people saw more of a difference (arXiv 2307.09288, equation 2). Comparisons say
    nothing of where the rewards lie; the second term draws them towards 0 (arXiv 2312.09244, equation 2).

    Args:
        chosen, rejected: (P,) rewards r of the two answers.
        margin: (P,) by how much the chosen answer is better; 0: no matter.
        centring: c; the paper's is 0.01.

    Returns:
        (P,) one loss a pair; log 2 where both answers have reward 0 and the margin is 0.
    """
    loss = -F.logsigmoid(chosen - rejected - margin)
    return loss + centring * (chosen + rejected) ** 2 if centring else loss
