"""Which records make up each optimiser step, for the whole training, decided before it starts."""

from __future__ import annotations

import random
from collections.abc import Callable


def batches(
    count: int, batch_size: int, epochs: int, shuffler: Callable[[int], random.Random] | None
) -> list[list[int]]:
    """The records of every step, by number.

    A step never holds records of two epochs, so the last step of an epoch may be smaller.

    Args:
        count: number of records.
        batch_size: records per step.
        epochs: how many times all are gone through.
        shuffler: gives the generator that shuffles an epoch, by its number; None keeps the order.

    Returns:
        one list a step, each record in `epochs` of them.
    """
    steps = []
    for epoch in range(epochs):
        order = list(range(count))
        if shuffler is not None:
            shuffler(epoch).shuffle(order)
        steps += [order[start : start + batch_size] for start in range(0, count, batch_size)]
    return steps


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
