"""Pacing functions: how much of the data a learner has been shown so far."""

from __future__ import annotations

from typing import Literal

Pacing = Literal["linear", "root", "step"]


def available(pacing: Pacing, start: float, full_at: float, progress: float) -> float:
    r"""The fraction of the easiest rows that may be drawn at a point of training.

    With :math:`c_0` for `start`, :math:`a` for `full_at` and :math:`t` for `progress`:

    - ``linear``: :math:`\min(1,\; c_0 + (1 - c_0)\,t/a)`
    - ``root``: :math:`\min(1,\; \sqrt{c_0^2 + (1 - c_0^2)\,t/a})`, which adds hard rows ever more slowly, so that each
      has the same time to be learnt
    - ``step``: :math:`c_0` while :math:`t < a`, then 1

    Args:
        pacing: which function.
        start: fraction that is there from the beginning, in (0, 1].
        full_at: the progress at which all rows are there, in (0, 1].
        progress: how far training is, in [0, 1].

    Returns:
        A fraction in (0, 1]; it never falls as `progress` grows.

    Source: linear and root from arXiv:1903.09848, section 2.2; step, "single-step pacing", from arXiv:1904.03626.
    """
    if progress >= full_at:
        return 1.0
    if pacing == "step":
        return start
    if pacing == "linear":
        return float(min(1.0, start + (1 - start) * progress / full_at))
    return float(min(1.0, (start**2 + (1 - start**2) * progress / full_at) ** 0.5))
