"""Kahneman-Tversky optimisation: answers that were liked or not, each on its own."""

from __future__ import annotations

import torch
from torch import Tensor


def kto_loss(
    ratio: Tensor,
    desirable: Tensor,
    *,
    beta: float,
    baseline: Tensor,
    desirable_weight: float,
    undesirable_weight: float,
) -> Tensor:
    """``weight * (1 - sigmoid(s * beta * (delta(y) - z)))``, s 1 of a desirable answer and -1 of another (KTO, arXiv
    2402.01306, equations 7 and 8).

    Args:
        ratio: (E,) log-ratios delta of the answers.
        desirable: (E,) bool, whether an answer was liked.
        beta: as in DPO: what risk a gain is worth.
        baseline: () z, at least 0: how far the model has moved from the reference. No gradient goes through it.
        desirable_weight, undesirable_weight: lambda of either sort.

    Returns:
        (E,) one loss an answer, between 0 and its weight; half of it where the model is the reference.
    """
    sign = torch.where(desirable, 1.0, -1.0).to(ratio.dtype)
    weight = torch.where(desirable, desirable_weight, undesirable_weight).to(ratio.dtype)
    return weight * torch.sigmoid(-sign * beta * (ratio - baseline.detach()))
