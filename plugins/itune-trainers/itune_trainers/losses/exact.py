"""Efficient exact optimisation of the alignment objective."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def exo_loss(chosen: Tensor, rejected: Tensor, *, beta: float, probability: Tensor) -> Tensor:
    """``q * log(q / p) + (1 - q) * log((1 - q) / (1 - p))`` with ``q = sigmoid(beta * (delta(w) - delta(l)))``: the
    reverse KL divergence of what the model prefers from what the labels say (EXO, arXiv 2402.00856, equation 16).

    Args:
        chosen, rejected: (P,) log-ratios delta of the two answers.
        beta: as in DPO.
        probability: (P,) p, that `chosen` is the better one; strictly between 0 and 1, or the divergence is infinite.

    Returns:
        (P,) one loss a pair; 0 where q = p.
    """
    logits = beta * (chosen - rejected)
    q = torch.sigmoid(logits)
    return q * (F.logsigmoid(logits) - torch.log(probability)) + (1 - q) * (
        F.logsigmoid(-logits) - torch.log1p(-probability)
    )
