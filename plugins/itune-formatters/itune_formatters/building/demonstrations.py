"""Demonstrations from a file: rows of the same shape as those that are formatted, shown before each question."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, TypeVar

from pydantic import Field

from itune_core.api import BadRow, ComponentConfig, DataError, InputFile, Reading, Row, RowError, read_rows
from itune_formatters.building.instance import Demonstration, Instance

Shown = TypeVar("Shown")


class Pool(ComponentConfig):
    """Settings of where demonstrations come from."""

    path: InputFile | list[InputFile] = Field(
        description="File, folder or glob of rows of the same shape. They are held in memory: a few hundred are plenty."
    )
    reading: Reading | None = Field(
        None, description="How they are written; unset: as the other rows are, in the format that their suffix tells."
    )
    count: int = Field(2, ge=1, description="How many are shown; fewer where the pool has no more that fit.")
    same: Literal["category", "task"] | None = Field(
        None, description="Show only rows that share this column with the row they are shown in; unset: any."
    )


def solved(pool: Pool, reading: Reading, take: Callable[[Row], Iterable[Shown]]) -> Iterator[Shown]:
    """What `take` makes of every row of the pool, in order.

    Args:
        pool: where the rows are.
        reading: how the rows that are formatted are written.
        take: takes a row apart; may raise RowError.

    Raises:
        DataError: ``E-FORMAT-022`` a row is bad: a pool is small, and what is shown in every row is right.
    """
    paths = [pool.path] if isinstance(pool.path, str) else list(pool.path)
    for row in read_rows(paths, pool.reading or reading.model_copy(update={"format": None})):
        try:
            if isinstance(row, BadRow):
                raise row.error
            yield from take(row)
        except RowError as error:
            raise DataError(
                "E-FORMAT-022",
                f"a row of demonstrations cannot be used: {error.what}",
                where=row.where,
                why=error.why or "",
                fix="mend or remove it; demonstrations are rows of the same shape as those that are formatted",
            ) from error


def draw(pool: Pool, rows: Sequence[Instance], instance: Instance, rng: random.Random) -> list[Demonstration]:
    """`pool.count` of `rows` in random order. None asks what `instance` asks: it would tell the answer. None asks what
    another one asks."""
    column = pool.same
    fitting = [row for row in rows if column is None or row.common.get(column) == instance.common.get(column)]
    asked = {(instance.instruction, instance.input)}
    chosen: list[Instance] = []
    for row in rng.sample(fitting, len(fitting)):
        if len(chosen) == pool.count:
            break
        if (row.instruction, row.input) not in asked:
            asked.add((row.instruction, row.input))
            chosen.append(row)
    task = instance.instruction
    return [
        Demonstration(row.input, row.output, "" if row.instruction == task else row.instruction, row.rationale)
        for row in chosen
    ]
