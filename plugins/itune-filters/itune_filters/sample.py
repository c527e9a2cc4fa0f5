"""Keep a random part of a data set."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import nsmallest
from typing import Self

from pydantic import Field, model_validator

from itune_core.api import ComponentConfig, Context, Drop, Filter, Inputs, Keep, hookimpl


class Sample(Filter):
    """Keep so many records, or a share of them, in the order they had.

    Each record draws a number from its id and the step's seed. `size` keeps the records with the smallest numbers, so
    a new row can push out one other at most, and a larger sample holds every smaller one; `share` keeps those whose
    number is below it, so a new row changes nothing for the others and the share is met on average. The order of rows
    plays no part. A data set that has no more than `size` records is kept whole.

    Who samples what another sample kept gives the second step a `seed` of its own: under the same one its records draw
    the same numbers as before, all of them small, and a share of them is more than that share.

    Dropped: ``not-sampled``.

    Source: bottom-k sampling, Cohen and Kaplan (2007), https://doi.org/10.1145/1281100.1281133.
    """

    class Config(ComponentConfig):
        size: int | None = Field(None, ge=1, examples=[1000], description="How many records to keep.")
        share: float | None = Field(None, gt=0, lt=1, description="Share of records to keep, on average.")

        @model_validator(mode="after")
        def _one_of_both(self) -> Self:
            if (self.size is None) == (self.share is None):
                raise ValueError("set either size or share")
            return self

    @hookimpl
    def itune_filter(self, inputs: Inputs, context: Context) -> Iterator[Keep | Drop]:
        # The hook itself: whether a record is kept depends on the numbers of all.
        drawn = [context.rng(key).random() for key in inputs["records"]["id"]]
        if self.config.share is not None:
            kept = {row for row, number in enumerate(drawn) if number < self.config.share}
        else:
            kept = set(nsmallest(self.config.size, range(len(drawn)), key=drawn.__getitem__))
        return (Keep() if row in kept else Drop("not-sampled") for row in range(len(drawn)))
