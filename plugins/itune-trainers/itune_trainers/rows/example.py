"""What an objective gives one loss for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from itune_torch import Encoded


@dataclass(frozen=True)
class Example:
    """What an objective gives one loss for.

    Attributes:
        id: of the record.
        rows: its token rows: one for a conversation, chosen and rejected for a pair.
        label: what the record says about them besides (how likely the preference is, say).
        scores: what the record says about each row; none if nothing.
        beside: rows that are run before the batch and without gradient, see :meth:`Algorithm.baseline`; with an id of
            their own.
    """

    id: str
    rows: tuple[Encoded, ...]
    label: float = 1.0
    scores: tuple[float, ...] = ()
    beside: Example | None = None

    @cached_property
    def key(self) -> bytes:
        """Digest over the token rows: all that a frozen model's values of them depend on. An id is not enough: records
        of two data sets may have the same."""
        digest = hashlib.blake2b(digest_size=16)
        for row in self.rows:
            digest.update(written(row))
        return digest.digest()

    @property
    def tokens(self) -> int:
        """Tokens of all rows."""
        return sum(len(row.ids) for row in self.rows)

    @property
    def supervised(self) -> int:
        """Supervised tokens of all rows."""
        return sum(row.supervised for row in self.rows)


def written(row: Encoded) -> bytes:
    """What a digest over a token row is taken of: its ids and which of them are trained."""
    trained = "".join(map(str, map(int, row.trained)))
    return f"{row.ids}{trained}".encode()
