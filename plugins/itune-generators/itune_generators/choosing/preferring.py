"""Preferences of the pairs that scored candidates of a ranking make."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

from itune_core.api import Created, Drop, Record, Rejected, preference
from itune_generators.choosing.pairing import Pair
from itune_generators.choosing.rewarding import Candidate
from itune_generators.recording.carrying import CARRIED, pair_told

Labels = Literal["hard", "soft"]
LABELS = (
    "hard: the answer of higher score is the better one; soft: it is so with the probability that Bradley and Terry's "
    "model gives, 1 / (1 + exp(-margin)). Meant for rewards of a model trained that way (`trainers/reward`)."
)


def preferences(
    record: Record,
    candidates: Sequence[Candidate],
    scores: Sequence[float],
    pairs: Sequence[Pair],
    *,
    labels: Labels,
    min_margin: float = 0.0,
    meta: Mapping[str, Any] = MappingProxyType({}),
) -> list[Created | Rejected] | Drop:
    """A preference for each of `pairs`, or why it is none; or why there is none at all.

    ``margin`` is the difference of the two scores. The column ``meta`` has, besides `meta`, the two scores and, where
    the candidates say who wrote them, the models: ``{"pair": {"scores": [chosen, rejected], "models": [chosen,
    rejected]}}``.

    Rejected: ``equal-scores``, ``below-margin``, ``equal-responses`` (what would be compared is the same text).
    Dropped: as the most of its pairs were rejected; where it has none, ``below-margin`` if two scores differ.
    """
    made: list[Created | Rejected] = []
    reasons: Counter[str] = Counter()
    for better, worse in pairs:
        margin = scores[better] - scores[worse]
        reason = _no_preference(candidates[better], candidates[worse], margin, min_margin)
        if reason is not None:
            reasons[reason] += 1
            made.append(Rejected(reason, f"candidates {better} and {worse}, scores {scores[better]}, {scores[worse]}"))
            continue
        item = preference(
            record["prompt"],
            candidates[better]["completion"],
            candidates[worse]["completion"],
            probability=1 / (1 + math.exp(-margin)) if labels == "soft" else None,
            margin=margin,
            meta=json.dumps({**meta, **_told(candidates, scores, better, worse)}, ensure_ascii=False),
            **record.take(CARRIED),
        )
        made.append(Created(item, parents=[record["id"]]))
    if len(made) > reasons.total():
        return made
    if not pairs:
        reasons["below-margin" if min(scores) < max(scores) else "equal-scores"] += 1
    [(reason, _)] = reasons.most_common(1)
    return Drop(reason, f"{len(pairs)} pairs of {len(scores)} candidates, scores {min(scores)} to {max(scores)}")


def _no_preference(chosen: Candidate, rejected: Candidate, margin: float, min_margin: float) -> str | None:
    if chosen["completion"] == rejected["completion"]:
        return "equal-responses"
    if margin == 0:
        return "equal-scores"
    return "below-margin" if margin < min_margin else None


def _told(candidates: Sequence[Candidate], scores: Sequence[float], better: int, worse: int) -> dict[str, Any]:
    models = [candidates[better]["model"], candidates[worse]["model"]]
    return pair_told(models, scores=[scores[better], scores[worse]])
