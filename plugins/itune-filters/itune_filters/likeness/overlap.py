"""Which n-grams of evaluation rows other records contain."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from itune_core.api import Kind, Part, Record, contents, parts
from itune_filters.likeness.shingles import Shingler
from itune_filters.likeness.tokens import Unit, split


class Turn(NamedTuple):
    """Its tokens, and whether it is compared as a whole where it has fewer than an n-gram."""

    tokens: Sequence[str]
    opens: bool


class _Text(NamedTuple):
    row: int
    tokens: Sequence[str]


class Overlap(NamedTuple):
    """Number of the evaluation row, and the tokens that a record shares with it."""

    row: int
    tokens: Sequence[str]


def turns(record: Record, part: Part, unit: Unit) -> list[Turn]:
    """The turns of `part`. The first of a prompt opens it; no answer does: "Yes." stands in every data set.

    Raises:
        RowError: ``E-DATA-037`` the record has no such part.
    """
    asked = 0
    if part != "response" and record.kind is not Kind.TEXT:
        asked = sum(turn["role"] != "system" for turn in parts(record).prompt)
    return [Turn(split(text, unit), place == 0 < asked) for place, text in enumerate(contents(record, part))]


class Ngrams:
    """The n-grams of some rows, each with the first row that has it.

    Args:
        size: tokens of an n-gram.
        rows: the turns of each row.
    """

    def __init__(self, size: int, rows: Sequence[Sequence[Turn]]) -> None:
        import numpy as np

        self.size = size
        self._shingle = Shingler(size)
        texts = self._texts(rows)
        numbers, text_of, _ = self._numbered(texts)
        # Of equal numbers np.unique gives the place of the first, and so the first row.
        self._known, first = np.unique(numbers, return_index=True)
        self._rows = [texts[text].row for text in text_of[first].tolist()]

    def __len__(self) -> int:
        return len(self._known)

    def overlaps(self, rows: Sequence[Sequence[Turn]]) -> list[Overlap | None]:
        """For each row, the first n-gram in it that is known."""
        import numpy as np

        found: list[Overlap | None] = [None] * len(rows)
        texts = self._texts(rows)
        numbers, text_of, starts = self._numbered(texts)
        if not len(self):
            return found
        known = np.minimum(np.searchsorted(self._known, numbers), len(self) - 1)
        hits = np.flatnonzero(self._known[known] == numbers)
        hit_texts, first = np.unique(text_of[hits], return_index=True)
        for number, hit in zip(hit_texts.tolist(), hits[first].tolist(), strict=True):
            text = texts[number]
            if found[text.row] is None:
                begin = hit - starts[number]
                found[text.row] = Overlap(self._rows[known[hit]], text.tokens[begin : begin + self.size])
        return found

    def _texts(self, rows: Sequence[Sequence[Turn]]) -> list[_Text]:
        """What is compared: turns that have an n-gram, and those that are compared as a whole."""
        return [
            _Text(number, turn.tokens)
            for number, row in enumerate(rows)
            for turn in row
            if turn.opens or len(turn.tokens) >= self.size
        ]

    def _numbered(self, texts: Sequence[_Text]) -> tuple[Any, Any, list[int]]:
        """The number of every n-gram, the text it is of, and where each text's begin."""
        import numpy as np

        numbers = self._shingle([text.tokens for text in texts])
        sizes = [len(some) for some in numbers]
        text_of = np.repeat(np.arange(len(texts)), sizes)
        return np.concatenate([np.empty(0, np.uint64), *numbers]), text_of, list(accumulate([0, *sizes]))
