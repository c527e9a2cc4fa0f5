"""Figures of a whole step, from what its records say in ``meta``."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

from itune_core.api import Context, Created, Drop, Failed, Rejected

Outcome = tuple[str, Created | Rejected | Drop | Failed]


def mean(values: Sequence[float]) -> float:
    """Their mean, also where their sum is beyond all floats."""
    return math.fsum(value / len(values) for value in values)


def reported(outcomes: Iterator[Outcome], context: Context, name: str, figures: Sequence[str]) -> Iterator[Outcome]:
    """`outcomes` as they are; after the last, the progress says the mean of each of `figures` over the records that
    something was made of; of a record, its mean over all that was made of it. They are read from ``meta``, under
    `name`."""
    told: defaultdict[str, list[dict[str, float]]] = defaultdict(list)
    count = 0
    last = None
    for key, item in outcomes:
        count += key != last
        last = key
        if isinstance(item, Created):
            told[key].append(json.loads(item.record["meta"])[name])
        yield key, item
    if told:
        means = {figure: mean([mean([one[figure] for one in made]) for made in told.values()]) for figure in figures}
        context.progress(count, count, **means)
