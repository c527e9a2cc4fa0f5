"""Part a data set into rows to train on and rows to measure on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from itune_core.api import (
    ComponentConfig,
    Context,
    Failed,
    Filter,
    Inputs,
    Keep,
    Record,
    RowError,
    hookimpl,
    parts,
    records,
)


class Split(Filter):
    """Two outputs, ``train`` and ``held_out``; every record goes to one of them.

    All records of a group go the same way, decided by a hash of the group and the step's seed: adding, removing or
    reordering rows moves no other row. So `held_out` is a share on average, and of groups: with few of them the share
    of rows can be far from it.

    By default records with the same prompt are a group (a text record's prompt is its text), so that no question is
    both trained on and asked. By ``id`` every record is its own group, also where two say the same.

    Who splits ``train`` once more gives the second step a `seed` of its own: under the same one its groups draw the
    same numbers as before, all of them above the first share, so that by the same share none is held out.

    Source: this package.
    """

    outputs = ("train", "held_out")

    class Config(ComponentConfig):
        held_out: float = Field(gt=0, lt=1, examples=[0.1], description="Share of groups that is held out, on average.")
        by: Literal["prompt", "id", "source", "task", "category", "language"] = Field(
            "prompt", description="What makes a group; a record that has none fails."
        )

    @hookimpl
    def itune_filter(self, inputs: Inputs, context: Context) -> Iterator[Keep | Failed]:
        # The hook itself: decide() is not given the context, whose seed this needs.
        for record in records(inputs["records"]):
            try:
                drawn = context.rng(self._group(record)).random()
            except RowError as error:
                yield Failed.of(error)
                continue
            yield Keep("held_out" if drawn < self.config.held_out else "train")

    def _group(self, record: Record) -> str:
        if self.config.by == "prompt":
            prompt, responses = parts(record)
            turns = prompt or responses[0]
            return json.dumps([[turn["role"], turn["content"]] for turn in turns])
        group = record[self.config.by]
        if group is None:
            raise RowError(f"the record has no {self.config.by} to split by", "E-FILTER-003")
        return str(group)
