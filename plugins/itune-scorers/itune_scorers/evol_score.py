"""DEITA's evol score: complexity times quality, summed over turns."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from typing import Any

from pydantic import Field

from itune_core.api import ComponentConfig, Input, Kind, Record, Scorer
from itune_scorers.asking.turns import answered
from itune_scorers.complexity import Complexity
from itune_scorers.quality import Quality


class EvolScore(Scorer):
    r"""How much there is to learn from a conversation: DEITA's evol score, by which `filters/diverse` may sort.

    With :math:`c_t` and :math:`q_t` what `scorers/complexity` and `scorers/quality` say of turn t by itself, it is
    :math:`\sum_t c_t q_t`: from 1 to 36 a turn, and more the longer a conversation is. Columns:

    - ``score.<step>``: the sum;
    - ``score.<step>.complexity``, ``quality``: the means over the turns, as those scorers give them;
    - ``score.<step>.turns``: how many turns there are.

    The product has to be taken turn by turn, so that of several turns it cannot be had from the columns of those two.
    What they have asked the same models in the same words is not asked again.

    Source: arXiv:2312.15685.
    """

    inputs = {"records": Input((Kind.CONVERSATION, Kind.FEEDBACK))}
    columns = {"": "float64", "complexity": "float64", "quality": "float64", "turns": "int64"}

    class Config(ComponentConfig):
        complexity: Complexity.Config = Field(
            description="Settings of `scorers/complexity`.", examples=[{"model": "base"}]
        )
        quality: Quality.Config = Field(description="Settings of `scorers/quality`.", examples=[{"model": "base"}])

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self._complexity, self._quality = Complexity(config.complexity), Quality(config.quality)

    def score(self, record: Record) -> Generator[Any, Any, Mapping[str, Any]]:
        """Ask for two digits, turn by turn.

        Raises:
            DataError, RowError: as those two scorers.
        """
        pairs: list[tuple[float, float]] = []
        for exchange in answered(record):
            complexity = yield from self._complexity.rate(exchange)
            quality = yield from self._quality.rate(exchange)
            pairs.append((complexity.value, quality.value))
        return {
            "": math.fsum(complexity * quality for complexity, quality in pairs),
            "complexity": math.fsum(complexity for complexity, _ in pairs) / len(pairs),
            "quality": math.fsum(quality for _, quality in pairs) / len(pairs),
            "turns": len(pairs),
        }
