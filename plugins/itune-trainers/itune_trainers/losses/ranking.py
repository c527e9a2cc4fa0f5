"""Losses over lists of answers to one question."""

from __future__ import annotations

import torch
from torch import Tensor


def rrhf_loss(order: Tensor, likelihood: Tensor, scores: Tensor, *, weight: float) -> Tensor:
    """``weight * sum over r_i < r_j of max(0, s_i - s_j) - m(best)`` (RRHF, arXiv 2304.05302).

    There is no margin: two answers in the right order add nothing. Equal scores are no order. Of several best answers
    the first is learned. The paper's second term is the sum over the answer's tokens; here it is their mean.

    Args:
        order: (K,) s, what the model orders the answers by: lp(y) / |y|^a.
        likelihood: (K,) m, mean log-probability of a token of each answer.
        scores: (K,) r, rewards of the answers; higher is better.
        weight: of the ranking.

    Returns:
        () the loss of the list.
    """
    worse = scores[:, None] < scores[None, :]
    ranking = torch.relu(order[:, None] - order[None, :])[worse].sum()
    return weight * ranking - likelihood[scores.argmax()]
