"""Hinge losses: a margin is asked for, and what exceeds it counts for nothing."""

from __future__ import annotations

import torch
from torch import Tensor


def slic_loss(chosen: Tensor, rejected: Tensor, *, margin: float, regulariser: float, target: Tensor) -> Tensor:
    """``max(0, margin - lp(w) + lp(l)) - regulariser * lp(target)`` (SLiC-HF, arXiv 2305.10425).

    There is no reference: the second term alone keeps the model near what it was tuned on. Log-probabilities are sums,
    not means over tokens. What TRL calls `hinge` is :func:`hinge_norm_loss`, another loss.

    Args:
        chosen, rejected: (P,) lp of the two answers.
        margin: how far apart they shall be.
        regulariser: weight of the likelihood of `target`.
        target: (P,) lp of an answer to stay near.

    Returns:
        (P,) one loss a pair.
    """
    return torch.relu(margin - chosen + rejected) - regulariser * target


def hinge_norm_loss(chosen: Tensor, rejected: Tensor, *, gamma: float) -> Tensor:
    """``max(0, 1 - gamma * (delta(w) - delta(l)))``: the hinge of SLiC on log-ratios, as RSO has it (hinge-norm,
    arXiv 2309.06657). TRL calls it `hinge`, and gamma beta.

    Args:
        chosen, rejected: (P,) log-ratios delta of the two answers.
        gamma: one over the margin that is asked for.

    Returns:
        (P,) one loss a pair; 1 where the model is the reference.
    """
    return torch.relu(1 - gamma * (chosen - rejected))
