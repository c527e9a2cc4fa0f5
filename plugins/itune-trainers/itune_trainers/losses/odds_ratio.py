"""Odds ratio preference optimisation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def orpo_loss(chosen: Tensor, rejected: Tensor, *, weight: float) -> Tensor:
    """``-m(w) - weight * log sigmoid(log odds(w) - log odds(l))`` with m(y) = lp(y) / |y|, ``odds = P / (1 - P)`` and
    ``P = exp(m)`` (ORPO, arXiv 2403.07691, equations 4 and 7).

    The first term is the likelihood of the chosen answer. TRL's is that of prompt and answer together, as in the
    authors' code; the paper's is that of the answer.

    Args:
        chosen, rejected: (P,) m, mean log-probability of a token, at most 0.
        weight: lambda of the paper; TRL's beta.

    Returns:
        (P,) one loss a pair.
    """
    odds = (chosen - rejected) - (_log1mexp(chosen) - _log1mexp(rejected))
    return -chosen - weight * F.logsigmoid(odds)


def _log1mexp(value: Tensor) -> Tensor:
    """``log(1 - exp(value))`` of negative values, without losing digits at either end (Maechler, 2012).

    A value of 0 (a certain answer) counts as the largest negative number: its odds are infinite.
    """
    value = value.clamp(max=-torch.finfo(value.dtype).tiny)
    near = value > -0.6931471805599453
    # Both branches are computed and have gradients: neither may see a value at which it is not finite.
    by_expm1 = torch.log(-torch.expm1(torch.where(near, value, -0.5)))
    by_log1p = torch.log1p(-torch.exp(torch.where(near, -1.0, value)))
    return torch.where(near, by_expm1, by_log1p)
