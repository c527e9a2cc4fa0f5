"""When the held-out loss has stopped falling: all of it is read from the history, so a checkpoint has it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from itune_trainers.settings import EarlyStopping

LOSS = "eval/loss"
"""What a history entry calls the held-out loss after its step."""


@dataclass(frozen=True)
class Standing:
    """Where a training stands.

    Attributes:
        best: the step with the lowest held-out loss, the first of equals; 0 before any was measured.
        stale: how many evaluations in a row have not been lower by `min_delta` than the lowest before them.
    """

    best: int
    stale: int


def standing(history: Sequence[Mapping[str, Any]], min_delta: float) -> Standing:
    """What the evaluations in a history say. A slow fall counts as soon as it adds up to more than `min_delta`."""
    best, lowest, mark, stale = 0, math.inf, math.inf, 0
    for entry in history:
        if LOSS not in entry:
            continue
        loss = entry[LOSS]
        if loss < lowest:
            best, lowest = entry["step"], loss
        if loss < mark - min_delta:
            mark, stale = loss, 0
        else:
            stale += 1
    return Standing(best, stale)


def is_due(step: int, steps: int, settings: EarlyStopping) -> bool:
    """Whether the held-out loss is measured after `step` of `steps`."""
    return step % settings.every == 0 or step == steps
