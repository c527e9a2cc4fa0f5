"""Which of two answers a judge prefers that may prefer a place: both orders, averaged.

Source: RLAIF, arXiv:2309.00267, section 2.1; averaging over principles: Constitutional AI, arXiv:2212.08073.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple


class Look(NamedTuple):
    """What a judge says when it is shown two answers in both orders.

    Attributes:
        forward: probability that it names the place shown first, where the first answer is shown first.
        backward: the same, where the second answer is shown first.
    """

    forward: float
    backward: float


class Verdict(NamedTuple):
    """What several looks come to.

    Attributes:
        first: probability that the first answer is the better one.
        position_bias: how much more often than half the time the place shown first is named, whatever stands there:
            from -0.5, always the second place, to 0.5.
    """

    first: float
    position_bias: float


def clamped(look: Look, lowest: float = 0.4, highest: float = 0.6) -> Look:
    """`look` with both probabilities moved into [`lowest`, `highest`].

    A judge that has thought in writing before it answers is nearly always sure, right or wrong. Constitutional AI found
    40 to 60 per cent to train the better preference model.
    """
    return Look(*(min(max(value, lowest), highest) for value in look))


def averaged(looks: Sequence[Look]) -> Verdict:
    """The mean over both orders of at least one look: ``mean((forward + 1 - backward) / 2)``.

    A judge that adds the same to the place shown first in both orders is averaged to one that adds nothing. Where the
    orders cancel out the result is 0.5 to the last bit, so that rounding prefers no answer.
    """
    shown = 2 * len(looks)
    forward = math.fsum(look.forward for look in looks)
    backward = math.fsum(look.backward for look in looks)
    return Verdict(0.5 + (forward - backward) / shown, (forward + backward) / shown - 0.5)
