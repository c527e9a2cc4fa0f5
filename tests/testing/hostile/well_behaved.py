"""One component of each stage that keeps every promise."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Generator as Steps
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from itune_core.api import (
    Answer,
    Ask,
    Backend,
    Completion,
    ComponentConfig,
    Context,
    Created,
    DataError,
    Drawn,
    Drop,
    Evaluator,
    Executor,
    Failed,
    Filter,
    Formatter,
    Generator,
    Input,
    Inputs,
    Keep,
    Kind,
    Mix,
    Mixer,
    ModelRef,
    Record,
    Row,
    RowError,
    Scorer,
    TrainedModel,
    Trainer,
    conversation,
    hookimpl,
    message,
    parts,
    records,
)


class Questions(Formatter):
    """Questions and answers. Source: the kit's own tests."""

    produces = Kind.CONVERSATION

    def format(self, row: Row) -> Record | Drop:
        if not row.text("answer").strip():
            return Drop("no-answer")
        return conversation([message("user", row.text("question")), message("assistant", row.text("answer"))])


class Asks(Generator):
    """Asks a model. Source: the kit's own tests."""

    produces = Kind.CONVERSATION

    class Config(ComponentConfig):
        model: ModelRef = Field(description="Who is asked.")

    def generate(self, record: Record, rng: random.Random) -> Iterator[Any]:
        answer = yield Ask(self.config.model, record["prompt"])
        yield Created(conversation([*record["prompt"], message("assistant", answer.text)]), parents=[record["id"]])


class Longest(Filter):
    """Keep the longest record of each source. Source: the kit's own tests."""

    @hookimpl
    def itune_filter(self, inputs: Inputs, context: Context) -> Iterator[Keep | Drop | Failed]:
        lengths: dict[str, int | Failed] = {}
        best: dict[str, int] = {}
        for record in records(inputs["records"]):
            try:
                size = sum(len(turn["content"]) for turn in parts(record).prompt)
            except RowError as error:
                lengths[record["id"]] = Failed.of(error)
                continue
            lengths[record["id"]] = size
            best[record["source"]] = max(size, best.get(record["source"], 0))
        for record in records(inputs["records"]):
            found = lengths[record["id"]]
            if isinstance(found, Failed):
                yield found
            else:
                yield Keep() if found == best[record["source"]] else Drop("shorter")


class Rare(Filter):
    """Keep conversations whose last word ends no other. Source: the kit's own tests."""

    inputs = {"records": Input((Kind.CONVERSATION,))}

    @hookimpl
    def itune_filter(self, inputs: Inputs, context: Context) -> Iterator[Keep | Drop]:
        words = [record["messages"][-1]["content"].split()[-1] for record in records(inputs["records"])]
        return (Keep() if words.count(word) == 1 else Drop("common") for word in words)


class Table(Formatter):
    """Questions and answers of a CSV file. Source: the kit's own tests."""

    produces = Kind.CONVERSATION

    def read(self) -> Iterator[Row]:
        try:
            text = Path(self.config.path).read_text("utf-8")
        except OSError as error:
            raise DataError("E-DATA-002", f"{self.config.path} cannot be read", fix="name a CSV file") from error
        for number, fields in enumerate(csv.DictReader(io.StringIO(text))):
            yield Row(fields, f"{self.config.path}:{number + 2}")

    def format(self, row: Row) -> Record:
        return conversation([message("user", row.text("question")), message("assistant", row.text("answer"))])


class Turns(Scorer):
    """How many turns there are. Source: the kit's own tests."""

    columns = {"": "int64"}

    def score(self, record: Record) -> Mapping[str, Any]:
        return {"": len(parts(record).prompt)}


class Once(Mixer):
    """Every row, in random order. Source: the kit's own tests."""

    def draw(self, sizes: Sequence[int], rng: random.Random) -> Iterable[Drawn]:
        drawn = [Drawn(number, row) for number, size in enumerate(sizes) for row in range(size)]
        rng.shuffle(drawn)
        return drawn


class Replays(Mixer):
    """Conversations, with as many texts between them as the target has rows. Source: the kit's own tests."""

    inputs = {
        "records": Input((Kind.CONVERSATION,), many=True),
        "target": Input(),
        "replay": Input((Kind.TEXT,), many=True, required=False),
    }
    mixes_kinds = True

    @hookimpl
    def itune_mix(self, inputs: Inputs, context: Context) -> Mix:
        new, old = inputs["records"], inputs.get("replay", [])
        draws = [Drawn(number, row) for number, rows in enumerate(new) for row in range(len(rows))]
        for number, rows in enumerate(old, len(new)):
            draws += [Drawn(number, row, phase=1) for row in range(min(len(rows), len(inputs["target"])))]
        asked = [
            [1 / len(new)] * len(new) + [0.0] * len(old),
            [0.0] * len(new) + [1 / len(old)] * len(old) if old else [0.0] * len(new),
        ]
        return Mix(draws, asked)


class Counts(Trainer):
    """A model that is the number of characters it was shown. Source: the kit's own tests."""

    class Config(ComponentConfig):
        steps: int = Field(3, ge=1, description="How many times it looks.")

    def train(self, inputs: Inputs, context: Context) -> TrainedModel:
        dropped: dict[str, Drop | Failed] = {}
        total = 0
        for record in records(inputs["train"]):
            try:
                total += sum(len(turn["content"]) for turn in record["messages"])
            except RowError as error:
                dropped[record["id"]] = Failed.of(error)
        checkpoint = context.scratch / "checkpoint"
        begin = int(checkpoint.read_text()) if checkpoint.exists() else 0
        for step in range(begin, self.config.steps):
            context.progress(step + 1, self.config.steps, loss=1 / (step + 1))
            checkpoint.write_text(str(step + 1))
        folder = context.scratch / "model"
        folder.mkdir()
        header = json.dumps({"__metadata__": {"characters": str(total)}}).encode()
        (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
        return TrainedModel(folder, dropped=dropped)


class Words(Evaluator):
    """Words of a model's answer. Source: the kit's own tests."""

    def evaluate(self, record: Record, model: str) -> Steps[Any, Any, Mapping[str, Any]]:
        prompt, responses = parts(record)
        answer = yield Ask(model, prompt or responses[0])
        return {"words": len(answer.text.split())}

    def summarise(self, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, float]:
        return {"words": sum(row["words"] for row in rows) / len(rows)}


class Parrot(Backend):
    """Says what it was told. Source: the kit's own tests."""

    needs_weights = False

    def served_identity(self) -> str:
        return "parrot-1"

    def generate(self, requests: Sequence[tuple[Ask, Sequence[int]]]) -> Iterator[Answer | Failed]:
        for ask, seeds in requests:
            word = ask.messages[-1]["content"].split()[0]
            yield Answer([Completion(f"{word} {seed if ask.temperature else ''}", "stop", 1, 2) for seed in seeds])


class InPlace(Executor):
    """Works where it is. Source: the kit's own tests."""

    def map(self, function: Any, items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            try:
                yield function(item)
            except RowError as error:
                yield Failed.of(error)


class Watches:
    """Counts what passes. Source: the kit's own tests."""

    def __init__(self) -> None:
        self.seen = 0

    @hookimpl(wrapper=True)
    def itune_score(self) -> Steps[None, Any, Any]:
        return self._counted((yield))

    @hookimpl(wrapper=True)
    def itune_format(self) -> Steps[None, Any, Any]:
        return self._counted((yield))

    def _counted(self, results: Iterable[Any]) -> Iterator[Any]:
        for result in results:
            self.seen += 1
            yield result

    @hookimpl
    def itune_run_finished(self, run: str, error: str | None) -> None:
        self.seen = 0
