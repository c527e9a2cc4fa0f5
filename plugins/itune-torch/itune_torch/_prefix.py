"""How many tokens the rows of one example begin with in common."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from itune_torch._encoded import Encoded


def shared_prefix(rows: Sequence[Encoded]) -> int:
    """The number of leading tokens that are the same in all `rows`, before any that is trained.

    It is found in token ids, not in text: where a prompt's last characters merge with an answer's first ones into one
    token, it ends before that token. Each row keeps at least one token of its own; a single row shares nothing.
    """
    if len(rows) < 2:
        return 0
    shortest = min(len(row.ids) for row in rows)
    first = rows[0].ids
    return sum(
        1
        for _ in takewhile(
            lambda place: all(row.ids[place] == first[place] and not row.trained[place] for row in rows),
            range(shortest - 1),
        )
    )
