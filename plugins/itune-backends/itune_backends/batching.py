"""Which rows to generate together."""

from __future__ import annotations

from collections.abc import Sequence


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
