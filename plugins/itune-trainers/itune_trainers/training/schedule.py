"""The learning rate of each step: a function of the step number, so that there is no state to save."""

from __future__ import annotations

import math
from typing import Literal


def learning_rate(
    step: int,
    total: int,
    *,
    peak: float,
    warmup: float = 0.0,
    shape: Literal["linear", "cosine", "constant"] = "linear",
) -> float:
    """The learning rate of optimiser step `step`.

    It rises linearly over the first ``ceil(warmup * total)`` steps, none of which has rate 0, and then falls from
    `peak` to 0 at `total` or stays.

    Args:
        step: from 0 to `total` - 1.
        total: number of steps.
        peak: the highest rate.
        warmup: share of the steps.
        shape: of the fall.
    """
    rising = math.ceil(warmup * total)
    if step < rising:
        return peak * (step + 1) / (rising + 1)
    done = (step - rising) / (total - rising)
    if shape == "linear":
        return peak * (1 - done)
    if shape == "cosine":
        return peak * 0.5 * (1 + math.cos(math.pi * done))
    return peak
