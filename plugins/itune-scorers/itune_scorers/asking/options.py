"""How likely a model begins its answer with each of a few words: what yes-or-no scores and digit scores are made of."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from typing import NamedTuple

from itune_core.api import Choices, Message, OptionLogProbs, RowError


class Weighed(NamedTuple):
    """Probability of each option given that it is one of them, and of all options together."""

    shares: list[float]
    mass: float


def weigh(
    model: str, prompt: Sequence[Message], options: Sequence[str], max_length: int
) -> Generator[Choices, OptionLogProbs, Weighed]:
    """Ask `model` to weigh `options` as the beginning of its answer; use with ``yield from``.

    Raises:
        RowError: ``E-SCORE-025`` it says nothing of an option, which is not put in by a guess; and what the backend
            says of rows it cannot answer.
    """
    weighed = yield Choices(model, prompt, options, max_length)
    missing = [option for option, value in zip(options, weighed.values, strict=True) if not math.isfinite(value)]
    if missing:
        raise RowError(
            "the model says nothing of an option",
            "E-SCORE-025",
            why=f"no probability of {', '.join(map(repr, missing))}",
            fix="use a model whose probabilities are known for all tokens",
        )
    return Weighed(weighed.shares, math.fsum(map(math.exp, weighed.values)))
