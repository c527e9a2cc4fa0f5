"""Anchored preference optimisation."""

from __future__ import annotations

import torch
from torch import Tensor


def apo_zero_loss(chosen: Tensor, rejected: Tensor, *, beta: float) -> Tensor:
    """``1 - sigmoid(beta * delta(w)) + sigmoid(beta * delta(l))`` (APO-zero, arXiv 2408.06266, equation 7).

    The chosen answer is made likelier and the rejected one less likely, each against the reference: for data whose
    chosen answers are better than what the model says.

    Args:
        chosen, rejected: (P,) log-ratios delta of the two answers.
        beta: as in DPO.

    Returns:
        (P,) one loss a pair, between 0 and 2; 1 where the model is the reference.
    """
    return 1 - torch.sigmoid(beta * chosen) + torch.sigmoid(beta * rejected)
