"""Direct preference optimisation."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def dpo_loss(chosen: Tensor, rejected: Tensor, *, beta: float) -> Tensor:
    """``-log sigmoid(beta * (delta(w) - delta(l)))`` (arXiv 2305.18290, equation 7).

    With ``beta = gamma`` it is the loss that RSO calls sigmoid-norm (arXiv 2309.06657): there the constant
    of this loss need not be that of the reward which the answers were sampled by.

    Args:
        chosen, rejected: (P,) log-ratios delta of the two answers.
        beta: how hard the model is held to the reference; larger is nearer.

    Returns:
        (P,) one loss a pair; log 2 where the model is the reference.
    """
    return -F.logsigmoid(beta * (chosen - rejected))
