"""Maximum likelihood: supervised tuning, and the term that holds a preference objective to the chosen answers."""

from __future__ import annotations

from torch import Tensor


def sft_loss(logps: Tensor, tokens: Tensor) -> Tensor:
    """Negative log-likelihood per supervised token: ``-lp(y) / |y|``.

    Args:
        logps: (E,) lp(y).
        tokens: (E,) number of supervised tokens, |y|.

    Returns:
        (E,) mean over the tokens of each row. Weighted by `tokens`, its mean over a batch is that over all tokens.
    """
    return -logps / tokens
