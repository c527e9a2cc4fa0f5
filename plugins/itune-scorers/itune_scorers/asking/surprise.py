"""How surprised a model is by an answer: what perplexity and IFD are computed from."""

from __future__ import annotations

import math
import sys
from collections.abc import Generator, Sequence
from typing import NamedTuple

from itune_core.api import LogProbs, Message, RowError, TokenLogProbs

LARGEST = math.log(sys.float_info.max)
"""The largest mean whose exponential is a number."""


class Surprise(NamedTuple):
    """Mean negative natural-log likelihood a token, in nats, and how many tokens the mean is over."""

    mean_nll: float
    tokens: int


def surprise(
    model: str, prompt: Sequence[Message], completion: Sequence[Message], max_length: int
) -> Generator[LogProbs, TokenLogProbs, Surprise]:
    """Ask `model` how surprising `completion` is after `prompt`; use with ``yield from``.

    Raises:
        RowError: ``E-SCORE-002`` the model gives a token of it no probability at all; and what the backend says of rows
            it cannot score.
    """
    scored = yield LogProbs(model, prompt, completion, max_length)
    mean_nll = -scored.sum / len(scored)
    if mean_nll > LARGEST:
        raise RowError("the model gives the answer no probability", "E-SCORE-002", why=f"mean_nll is {mean_nll:g}")
    return Surprise(mean_nll, len(scored))
