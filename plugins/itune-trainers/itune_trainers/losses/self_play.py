"""Self-play preference optimisation."""

from __future__ import annotations

from torch import Tensor


def sppo_loss(chosen: Tensor, rejected: Tensor, *, beta: float, probability: Tensor) -> Tensor:
    """``(delta(w) - (p - 1/2) / beta)^2 + (delta(l) + (p - 1/2) / beta)^2`` (SPPO, arXiv 2405.00675, equation 4.7).

    Args:
        chosen, rejected: (P,) log-ratios delta of the two answers.
        beta: one over eta of the paper.
        probability: (P,) p, that `chosen` wins against `rejected`; 1 is what TRL calls `sppo_hard`.

    Returns:
        (P,) one loss a pair.
    """
    aim = (probability - 0.5) / beta
    return (chosen - aim) ** 2 + (rejected + aim) ** 2
