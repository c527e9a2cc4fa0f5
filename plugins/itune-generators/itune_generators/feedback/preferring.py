"""What becomes of a comparison: a preference, or a failure of its pair alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from itune_core.api import Created, Failed, Record, RowError, preference
from itune_generators.feedback.answers import Pair
from itune_generators.recording.carrying import CARRIED, pair_told


def preferred(
    record: Record, pair: Pair, better: int, told: Mapping[str, Any], *, probability: float | None = None
) -> Created:
    """The preference of one answer of `pair` over the other; ``meta`` has `told` and who wrote them.

    Args:
        record: that both answer.
        pair: the answers.
        better: which of them, 0 or 1.
        told: JSON values.
        probability: that it is the better one.
    """
    worse = 1 - better
    meta = {**told, **pair_told([pair.models[better], pair.models[worse]])}
    made = preference(
        record["prompt"],
        pair.turns[better],
        pair.turns[worse],
        probability=probability,
        **record.take(CARRIED),
        meta=json.dumps(meta, ensure_ascii=False),
    )
    return Created(made, parents=[record["id"]])


def of_pair(failure: Failed, pair: Pair) -> Failed:
    """`failure`, which says of which answers."""
    one, other = pair.places
    return replace(failure, message=f"answers {one} and {other}: {failure.message}")


def raise_first(failed: Sequence[Failed], *, of: int) -> None:
    """Fail the record if a pair of it failed. What was made of its other pairs before that stays.

    Args:
        failed: of the pairs.
        of: how many pairs there are.

    Raises:
        RowError: with the code of the first, and how many there were.
    """
    if failed:
        first = failed[0]
        what = f"{len(failed)} of {of} comparisons failed; the first, {first.message}"
        raise RowError(what, first.code, transient=first.transient)
