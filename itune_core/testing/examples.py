"""The plainest component of each stage that has rows: what the kit wraps an extension around."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from itune_core.api.components import (
    Component,
    Evaluator,
    Filter,
    Formatter,
    Generator,
    Input,
    Inputs,
    Mixer,
    Scorer,
)
from itune_core.api.context import Context
from itune_core.api.errors import RowError
from itune_core.api.fields import ComponentConfig
from itune_core.api.hookspecs import hookimpl
from itune_core.api.outcomes import Created, Drawn, Drop, Evaluation, Keep
from itune_core.api.parts import parts
from itune_core.api.reading import Row
from itune_core.api.records import Kind, Record, conversation, message

SHORT = 8
"""Answers with fewer characters are dropped."""


class Lines(Formatter):
    """Questions and answers. Source: this package."""

    produces = Kind.CONVERSATION

    def format(self, row: Row) -> Record:
        return conversation([message("user", row.text("question")), message("assistant", row.text("answer"))])


class Echo(Generator):
    """Give each question back as its answer. Source: this package."""

    produces = Kind.CONVERSATION

    def generate(self, record: Record, rng: random.Random) -> Iterator[Created]:
        answer = message("assistant", record["prompt"][-1]["content"])
        yield Created(conversation([*record["prompt"], answer]), parents=[record["id"]])


class Long(Filter):
    """Drop short answers; fail where there is none. Source: this package."""

    def decide(self, record: Record) -> Keep | Drop:
        return Keep() if _length(record) >= SHORT else Drop("short")


class Size(Scorer):
    """Characters of the first answer. Source: this package."""

    columns = {"": "int64"}

    def score(self, record: Record) -> Mapping[str, Any]:
        return {"": _length(record)}


class All(Mixer):
    """Every row of every input, once. Source: this package."""

    def draw(self, sizes: Sequence[int], rng: random.Random) -> Iterable[Drawn]:
        return (Drawn(number, row) for number, size in enumerate(sizes) for row in range(size))


class Count(Evaluator):
    """How many rows there are. Source: this package."""

    inputs = {"records": Input((Kind.CONVERSATION,))}

    class Config(ComponentConfig):
        """No settings."""

    @hookimpl
    def itune_evaluate(self, inputs: Inputs, context: Context) -> Evaluation:
        return Evaluation({"": {"rows": float(len(inputs["records"]))}})


def _length(record: Record) -> int:
    responses = parts(record).responses
    if not responses:
        raise RowError("the record has no answer")
    return len(responses[0][-1]["content"])


EXAMPLES: Mapping[str, type[Component]] = {
    component.stage: component for component in (Lines, Echo, Long, Size, All, Count)
}
