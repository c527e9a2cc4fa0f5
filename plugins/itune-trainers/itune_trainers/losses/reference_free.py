"""Preference losses on the model's own log-probabilities, without a reference."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def simpo_loss(chosen: Tensor, rejected: Tensor, *, beta: float, gamma: float) -> Tensor:
    """``-log sigmoid(beta * (m(w) - m(l)) - gamma)`` with m(y) = lp(y) / |y| (SimPO, arXiv 2405.14734).

    Args:
        chosen, rejected: (P,) m, mean log-probability of a token.
        beta: scale of the implied reward. Means are small numbers: 2 to 10, not DPO's 0.1.
        gamma: the margin asked for, in units of the implied reward.

    Returns:
        (P,) one loss a pair.
    """
    return -F.logsigmoid(beta * (chosen - rejected) - gamma)


def cpo_loss(chosen: Tensor, rejected: Tensor, *, beta: float, likelihood: Tensor, weight: float) -> Tensor:
    """``-log sigmoid(beta * (lp(w) - lp(l))) - weight * m(w)`` (CPO, arXiv 2401.08417).

    The paper's second term is lp(w), a sum over tokens; here, as in TRL, it is their mean.

    Args:
        chosen, rejected: (P,) lp of the two answers.
        beta: as in DPO.
        likelihood: (P,) m(w), mean log-probability of a token of the chosen answer.
        weight: of the likelihood term; TRL's cpo_alpha.

    Returns:
        (P,) one loss a pair.
    """
    return -F.logsigmoid(beta * (chosen - rejected)) - weight * likelihood
