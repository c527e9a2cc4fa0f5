"""Which records make up each optimiser step, for the whole training, decided before it starts."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from itertools import pairwise


def batches(
    count: int,
    batch_size: int,
    epochs: int,
    shuffler: Callable[[int], random.Random] | None,
    borders: Collection[int] = (),
) -> list[list[int]]:
    """The records of every step, by number.

    A step never holds records of two epochs, so the last step of an epoch may be smaller; nor of both sides of a
    border.

    Args:
        count: number of records.
        batch_size: records per step.
        epochs: how many times all are gone through.
        shuffler: gives the generator that shuffles an epoch, by its number; None keeps the order.
        borders: numbers of the records that begin another phase or epoch of a mix, whose order is kept.

    Returns:
        one list a step, each record in `epochs` of them.
    """
    parts = list(pairwise(sorted({0, *borders, count})))
    steps = []
    for epoch in range(epochs):
        order = list(range(count))
        if shuffler is not None:
            shuffler(epoch).shuffle(order)
        steps += [
            order[start : min(start + batch_size, end)]
            for begin, end in parts
            for start in range(begin, end, batch_size)
        ]
    return steps


def changes(values: Sequence[object]) -> list[int]:
    """Where a value differs from the one before it."""
    return [number for number, (before, here) in enumerate(pairwise(values), 1) if before != here]


def groups(sizes: list[int], limit: int) -> list[list[int]]:
    """Consecutive items in groups of at most `limit` in sum; an item larger than that is a group of its own.

    Args:
        sizes: of the items.
        limit: largest sum of a group.

    Returns:
        item numbers by group, in order.
    """
    made: list[list[int]] = []
    room = -1
    for number, size in enumerate(sizes):
        if made and size <= room:
            made[-1].append(number)
            room -= size
        else:
            made.append([number])
            room = limit - size
    return made
