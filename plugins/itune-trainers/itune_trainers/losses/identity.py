"""Identity preference optimisation."""

from __future__ import annotations

from torch import Tensor


def ipo_loss(chosen: Tensor, rejected: Tensor, *, beta: float) -> Tensor:
    """``(d(w) - d(l) - 1 / (2 beta))^2`` with ``d(y) = delta(y) / |y|`` (IPO, arXiv 2310.12036, equation 17).

    The paper does not speak of lengths. Its authors have confirmed to TRL that the log-ratios are means over tokens; of
    sums, the loss would grow with the square of the answers' lengths.

    Args:
        chosen, rejected: (P,) log-ratios of the two answers, per token.
        beta: tau of the paper; the margin aimed at is 1 / (2 beta) per token.

    Returns:
        (P,) one loss a pair.
    """
    return (chosen - rejected - 1 / (2 * beta)) ** 2
