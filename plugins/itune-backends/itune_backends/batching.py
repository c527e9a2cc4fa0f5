"""Which rows to run together, and their values back in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from itune_torch import Batch, Encoded, Seq2SeqBatch

Padded = TypeVar("Padded", "Batch", "Seq2SeqBatch")
Found = TypeVar("Found")


def by_budget(prompts: Sequence[int], new: int, *, tokens: int, rows: int) -> list[list[int]]:
    """Group prompts of like length, so that little is padding and no batch outgrows its budget.

    A batch is a rectangle: as wide as its longest prompt and an answer together, as high as it has rows.

    Args:
        prompts: tokens of each prompt.
        new: most tokens an answer may have.
        tokens: largest area of a batch; a row that is wider on its own gets a batch to itself.
        rows: most rows in a batch.

    Returns:
        indices into `prompts`, each in exactly one batch; longest prompts first: if memory runs out, it does at once.
    """
    batches: list[list[int]] = []
    width = 0
    for index in sorted(range(len(prompts)), key=lambda index: (-prompts[index], index)):
        if not batches or len(batches[-1]) == rows or (len(batches[-1]) + 1) * width > tokens:
            batches.append([])
            width = prompts[index] + new  # of this batch: the rest is shorter
        batches[-1].append(index)
    return batches


class Budget(NamedTuple):
    """How large a padded batch may be: its area in tokens, and its rows."""

    tokens: int
    rows: int


def padded(rows: Sequence[Encoded], pad: Callable[[Sequence[Encoded]], Padded], budget: Budget) -> list[Padded]:
    """Rows of like length padded together; each batch knows the places of its rows.

    Args:
        rows: encoded rows.
        pad: puts rows under each other.
        budget: of each batch.
    """
    groups = by_budget([len(row.ids) for row in rows], 0, tokens=budget.tokens, rows=budget.rows)
    return [replace(pad([rows[index] for index in group]), rows=tuple(group)) for group in groups]


def in_order(batches: Iterable[Padded], run: Callable[[Padded], Sequence[Found]]) -> Iterator[Found]:
    """What is found of each row, row by row, as soon as it and what is found of those before are known.

    Args:
        batches: of rows that are numbered from 0 without a gap, in any order.
        run: gives what is found of each row of a batch.
    """
    known: dict[int, Found] = {}
    following = 0
    for batch in batches:
        known.update(zip(batch.rows, run(batch), strict=True))
        while following in known:
            yield known.pop(following)
            following += 1


def by_row(batch: Batch | Seq2SeqBatch, values: Sequence[float]) -> list[list[float]]:
    """Values of the targets of a batch, one a target, for each of its rows."""
    found: list[list[float]] = [[] for _ in batch.rows]
    for owner, value in zip(batch.row.tolist(), values, strict=True):
        found[owner].append(value)
    return found
