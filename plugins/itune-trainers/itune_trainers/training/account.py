"""Figures of a training that the report judges: whether answers end, and how often gradients were cut."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from itune_trainers.rows.example import Example
from itune_trainers.rows.stops import ends


def untrained_ends(examples: Sequence[Example], stops: Collection[int]) -> int:
    """How many rows do not end in a trained stop token: from them the model cannot learn to stop."""
    return sum(not ends(row, stops) for example in examples for row in example.rows)


def gradient_norms(history: Sequence[Mapping[str, Any]], limit: float | None) -> dict[str, float]:
    """``grad_norm/max``, the longest gradient before it was cut, and ``grad_norm/clipped``, the share of the steps
    whose gradient was longer than `limit`."""
    norms = [entry["grad_norm"] for entry in history]
    clipped = 0 if limit is None else sum(norm > limit for norm in norms)
    return {"grad_norm/max": max(norms), "grad_norm/clipped": clipped / len(norms)}
