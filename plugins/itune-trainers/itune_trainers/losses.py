"""Losses: pure functions over log-probabilities of whole rows. One function an algorithm, one value an example.

Notation: lp(y) is the sum of log p(token | what precedes it) over the supervised tokens of the row that ends in
answer y, under the model being trained; ref(y) the same under the reference model; w the chosen answer, l the rejected
one; delta = lp - ref.
"""

from __future__ import annotations

import torch.nn.functional as F
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


def dpo_loss(
    chosen: Tensor,
    rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    *,
    beta: float,
    probability: Tensor | None = None,
) -> Tensor:
    """Direct preference optimisation: ``-log sigmoid(beta * (delta(w) - delta(l)))`` (arXiv 2305.18290, equation 7).

    With a soft label p, the probability that `chosen` is the better answer, the expectation over which is better:
    ``p * L(w, l) + (1 - p) * L(l, w)`` (conservative DPO, equation 3 of Mitchell's 2023 note; p = 1 is plain DPO).

    Args:
        chosen, rejected: (P,) lp of the two answers.
        reference_chosen, reference_rejected: (P,) their ref.
        beta: how hard the model is held to the reference; larger is nearer.
        probability: (P,) p in [0, 1]; None: 1 everywhere.

    Returns:
        (P,) one loss a pair; log 2 where the model is the reference.
    """
    logits = beta * ((chosen - reference_chosen) - (rejected - reference_rejected))
    loss = -F.logsigmoid(logits)
    if probability is None:
        return loss
    return probability * loss - (1 - probability) * F.logsigmoid(-logits)
