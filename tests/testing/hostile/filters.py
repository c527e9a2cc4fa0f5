"""Filters that each break one promise. Source: the kit's own tests."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from itune_core.api import (
    ComponentConfig,
    Context,
    Drop,
    Filter,
    Input,
    InputFile,
    Inputs,
    Keep,
    Kind,
    Record,
    RowError,
    Runtime,
    hookimpl,
    parts,
    records,
)


def length(record: Record) -> int:
    return sum(len(turn["content"]) for turns in parts(record).responses for turn in turns)


class _KeepsAll(Filter):
    """Keeps every row, in this process: what a hostile plugin does besides its one offence."""

    @hookimpl
    def itune_filter(self, inputs: Inputs, context: Context) -> Iterator[Any]:
        return iter([Keep()] * len(inputs["records"]))


class Undecorated(Filter):
    """Its hook would never be called. Source: the kit's own tests."""

    def itune_filter(self, inputs: Inputs, context: Context) -> Iterator[Keep]:
        return iter([Keep()] * len(inputs["records"]))


class WrongArgument(Filter):
    """Its hook wants what nobody gives. Source: the kit's own tests."""

    @hookimpl
    def itune_filter(self, inputs: Inputs, rows: Any) -> Iterator[Keep]:
        return iter([Keep()] * len(rows))


class GivesNone(Filter):
    """Forgets to return. Source: the kit's own tests."""

    @hookimpl
    def itune_filter(self, inputs: Inputs, context: Context) -> None:
        list(records(inputs["records"]))


class EqualByValue(_KeepsAll):
    """Two with the same settings are equal. Source: the kit's own tests."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(str(self.config))


class WritesToWorkingFolder(_KeepsAll):
    """Keeps a diary. Source: the kit's own tests."""

    @hookimpl
    def itune_filter(self, inputs: Inputs, context: Context) -> Iterator[Any]:
        Path("seen.txt").write_text("I was here")
        return super().itune_filter(inputs, context)


class MutatesItsInput(Filter):
    """Tidies up what it is lent. Source: the kit's own tests."""

    def decide(self, record: Record) -> Keep:
        for turn in parts(record).prompt:
            turn["content"] = turn["content"].upper()  # type: ignore[index]
        return Keep()


class FormatsItsInput(Filter):
    """Sets the format of the data set it is lent. Source: the kit's own tests."""

    @hookimpl
    def itune_filter(self, inputs: Inputs, context: Context) -> Iterator[Keep]:
        inputs["records"].set_format("numpy")
        return iter([Keep()] * len(inputs["records"]))


class DependsOnOrder(Filter):
    """Keeps what stands in the first half. Source: the kit's own tests."""

    @hookimpl
    def itune_filter(self, inputs: Inputs, context: Context) -> Iterator[Keep | Drop]:
        rows = len(inputs["records"])
        return (Keep() if 2 * row < rows else Drop("late") for row in range(rows))


class DependsOnOthers(Filter):
    """Drops all where there are many. Source: the kit's own tests."""

    @hookimpl
    def itune_filter(self, inputs: Inputs, context: Context) -> Iterator[Keep | Drop]:
        rows = len(inputs["records"])
        return iter([Drop("crowded") if rows > 8 else Keep()] * rows)


class SwallowsAnException(Filter):
    """Keeps what it cannot judge. Source: the kit's own tests."""

    def decide(self, record: Record) -> Keep | Drop:
        try:
            return Keep() if length(record) < 20 else Drop("long")
        except Exception:
            return Keep()


class OneBadRowStopsAll(Filter):
    """Lets the error of one row out of its hook. Source: the kit's own tests."""

    @hookimpl
    def itune_filter(self, inputs: Inputs, context: Context) -> Iterator[Keep | Drop]:
        return map(self._judge, records(inputs["records"]))

    def _judge(self, record: Record) -> Keep | Drop:
        if record["language"] == "ja":
            raise RowError("these words cannot be counted")
        return Keep() if length(record) < 20 else Drop("long")


class SwallowsInItsHook(Filter):
    """Goes through the data set itself and keeps what it cannot judge. Source: the kit's own tests."""

    inputs = {"records": Input((Kind.CONVERSATION,))}

    @hookimpl
    def itune_filter(self, inputs: Inputs, context: Context) -> Iterator[Keep | Drop]:
        for row in inputs["records"]:
            try:
                verdict: Keep | Drop = Keep() if len(row["messages"][-1]["content"]) < 20 else Drop("long")
            except Exception:
                verdict = Keep()
            yield verdict


class Hashes(_KeepsAll):
    """Depends on the hash of a text, which each process has its own of. Source: the kit's own tests."""

    @hookimpl
    def itune_filter(self, inputs: Inputs, context: Context) -> Iterator[Any]:
        return (Keep() if hash(name) % 2 else Drop("odd") for name in inputs["records"]["id"])


class WritesLater(_KeepsAll):
    """Keeps a diary where rows are judged one at a time. Source: the kit's own tests."""

    class Config(ComponentConfig):
        batch: Runtime[int] = Field(4, ge=1, description="Rows that are judged together.")

    @hookimpl
    def itune_filter(self, inputs: Inputs, context: Context) -> Iterator[Any]:
        if self.config.batch == 1:
            Path("later.txt").write_text("I was here")
        return super().itune_filter(inputs, context)


class WritesBesideItself(_KeepsAll):
    """Keeps a cache where it is installed. Source: the kit's own tests."""

    @hookimpl
    def itune_filter(self, inputs: Inputs, context: Context) -> Iterator[Any]:
        (Path(__file__).parent / "cache.txt").write_text("I was here")
        return super().itune_filter(inputs, context)


class BatchesIfTold(Filter):
    """Its batch size counts, once there is one. Source: the kit's own tests."""

    class Config(ComponentConfig):
        batch: Runtime[int | None] = Field(None, ge=1, description="Rows that are judged together; unset: all.")

    @hookimpl
    def itune_filter(self, inputs: Inputs, context: Context) -> Iterator[Keep | Drop]:
        return iter([Drop("batched") if self.config.batch else Keep()] * len(inputs["records"]))


class Hurries(Filter):
    """Is careless where it is fast. Source: the kit's own tests."""

    class Config(ComponentConfig):
        pace: Runtime[Literal["slow", "fast"]] = Field("slow", description="How it is done.")

    @hookimpl
    def itune_filter(self, inputs: Inputs, context: Context) -> Iterator[Keep | Drop]:
        return iter([Drop("hurried") if self.config.pace == "fast" else Keep()] * len(inputs["records"]))


class OpensWhatIsNotThere(_KeepsAll):
    """Shows who misspells a path a traceback. Source: the kit's own tests."""

    class Config(ComponentConfig):
        words: InputFile | None = Field(None, description="Words that are banned.")

    @hookimpl
    def itune_filter(self, inputs: Inputs, context: Context) -> Iterator[Any]:
        if self.config.words is not None:
            Path(self.config.words).read_text("utf-8")
        return super().itune_filter(inputs, context)


class Dice(Filter):
    """Draws from the generator that everybody shares. Source: the kit's own tests."""

    @hookimpl
    def itune_filter(self, inputs: Inputs, context: Context) -> Iterator[Drop]:
        return (Drop("unlucky", str(random.random())) for _ in inputs["records"]["id"])


class Batches(Filter):
    """Its batch size counts. Source: the kit's own tests."""

    class Config(ComponentConfig):
        batch: Runtime[int] = Field(4, ge=1, description="Rows that are judged together.")

    @hookimpl
    def itune_filter(self, inputs: Inputs, context: Context) -> Iterator[Keep | Drop]:
        rows = range(len(inputs["records"]))
        return (Drop("last of its batch") if (row + 1) % self.config.batch == 0 else Keep() for row in rows)


class MapsALambda(Filter):
    """Hands other processes what they cannot be sent. Source: the kit's own tests."""

    @hookimpl
    def itune_filter(self, inputs: Inputs, context: Context) -> Iterator[Any]:
        return context.map(lambda record: Keep(), records(inputs["records"]))


class KnowsOneKind(_KeepsAll):
    """Declares every kind and reads one. Source: the kit's own tests."""

    @hookimpl
    def itune_filter(self, inputs: Inputs, context: Context) -> Iterator[Any]:
        inputs["records"]["messages"]
        return super().itune_filter(inputs, context)


class NeedsARow(_KeepsAll):
    """Looks at the first of no rows. Source: the kit's own tests."""

    @hookimpl
    def itune_filter(self, inputs: Inputs, context: Context) -> Iterator[Any]:
        inputs["records"]["id"][0]
        return super().itune_filter(inputs, context)


class DependsOnAStranger(_KeepsAll):
    """Names a distribution that its own does not declare. Source: the kit's own tests."""

    def depends_on(self) -> tuple[str, ...]:
        return ("itune-core", "kiwipiepy")


class HoldsALambda(_KeepsAll):
    """Cannot be sent to another process. Source: the kit's own tests."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self._length = lambda record: length(record)


class BareSetting(_KeepsAll):
    """Does not say what a setting means. Source: the kit's own tests."""

    class Config(ComponentConfig):
        share: float = 0.5


class Inner(ComponentConfig):
    share: float = 0.5


class BareInnerSetting(_KeepsAll):
    """Does not say what a setting inside a setting means. Source: the kit's own tests."""

    class Config(ComponentConfig):
        inner: Inner = Field(Inner(), description="More settings.")


class TakesAnything(_KeepsAll):
    """Swallows unknown settings before they are looked at. Source: the kit's own tests."""

    class Config(ComponentConfig):
        def __init__(self, **settings: Any) -> None:
            super().__init__()


class OfNoSource(_KeepsAll):
    """Keeps all and does not say by whose wisdom."""


class AnswersShort(Filter):
    """Forgets the last row. Source: the kit's own tests."""

    @hookimpl
    def itune_filter(self, inputs: Inputs, context: Context) -> Iterator[Keep]:
        return iter([Keep()] * (len(inputs["records"]) - 1))


class Unbounded(_KeepsAll):
    """Of a distribution without an upper bound on the core. Source: the kit's own tests."""


class Twice(_KeepsAll):
    """Published by two distributions. Source: the kit's own tests."""
