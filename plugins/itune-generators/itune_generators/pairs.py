"""Rankings as preferences: pairs of answers with different scores."""

from __future__ import annotations

import random
from collections.abc import Generator as PyGenerator
from typing import Any

from pydantic import Field

from itune_core.api import ComponentConfig, Drop, Generator, Input, Kind, Record
from itune_generators.choosing.pairing import PAIRING, Pairing, paired
from itune_generators.choosing.preferring import LABELS, Labels, preferences
from itune_generators.choosing.rewarding import scores


class Pairs(Generator):
    """Make preferences of the scored candidates of a ranking.

    Two of equal score make no pair, neither do two that say the same. ``margin`` is the difference of the two scores;
    ``meta`` names both, and the models that wrote the answers where the candidates say so, ``{"pair": {"scores":
    [chosen, rejected], "models": [chosen, rejected]}}``. Candidates without a score are judged by ``best-of-n`` with
    ``keep: all`` first. Preferences are cast to rankings of two.

    ``best-random`` is what Zephyr trains on (arXiv:2310.16944), ``margin`` with ``min_margin: 0`` every comparison that
    a ranking holds (InstructGPT, arXiv:2203.02155), ``first-round`` and ``tournament`` the pairs of RSO
    (arXiv:2309.06657), of all candidates.

    Rejected, of the pairs that were drawn: ``equal-scores``, ``below-margin`` (they differ by less than
    ``min_margin``), ``equal-responses`` (what would be compared is the same text). Dropped: ``too-few-candidates``
    (fewer than two) and, where no pair is left, one of these three. Failed: ``E-GEN-010`` a candidate has no score.
    """

    produces = Kind.PREFERENCE
    inputs = {"records": Input((Kind.RANKING,))}

    class Config(ComponentConfig):
        by: Pairing = Field("best-random", description=PAIRING)
        min_margin: float = Field(0.0, ge=0, description="Least difference of the scores of a pair.")
        count: int = Field(1, ge=1, description="How many pairs `random` makes; all there are, where there are fewer.")
        labels: Labels = Field("hard", description=LABELS)

    def generate(self, record: Record, rng: random.Random) -> PyGenerator[Any, Any, Drop | None]:
        """Yield a preference for each pair.

        Raises:
            RowError: ``E-GEN-010`` a candidate has no score.
        """
        settings = self.config
        candidates = record["candidates"]
        if len(candidates) < 2:
            return Drop("too-few-candidates", f"{len(candidates)}")
        found = scores(candidates)
        margin = settings.min_margin
        pairs = paired(found, settings.by, rng, min_margin=margin, count=settings.count)
        made = preferences(record, candidates, found, pairs, labels=settings.labels, min_margin=margin)
        if isinstance(made, Drop):
            return made
        yield from made
        return None
