"""Components of the other stages that each break one promise."""

from __future__ import annotations

import pickle
import random
from collections.abc import Generator as Steps
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from pydantic import Field
from well_behaved import Table

from itune_core.api import (
    Answer,
    Ask,
    Backend,
    Completion,
    ComponentConfig,
    Context,
    Created,
    Drawn,
    Drop,
    Evaluation,
    Evaluator,
    Executor,
    Failed,
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
)

EMPTY = (2).to_bytes(8, "little") + b"{}"
"""A safetensors file without tensors."""


class LosesRows(Formatter):
    """Skips what it cannot read, without a word. Source: the kit's own tests."""

    produces = Kind.CONVERSATION

    def format(self, row: Row) -> Iterable[Record]:
        try:
            return [conversation([message("user", row["question"]), message("assistant", row["answer"])])]
        except Exception:
            return []


class FillsIn(Formatter):
    """Makes up what is missing. Source: the kit's own tests."""

    produces = Kind.CONVERSATION

    def format(self, row: Row) -> Record:
        answer = row.get("answer")
        text = answer if isinstance(answer, str) else "I do not know."
        return conversation([message("user", str(row.get("question"))), message("assistant", text)])


class StopsAtABadRow(Formatter):
    """Raises KeyError for a missing field. Source: the kit's own tests."""

    produces = Kind.CONVERSATION

    def format(self, row: Row) -> Record:
        return conversation([message("user", row["question"]), message("assistant", row["answer"])])


class SkipsEverySecond(Table):
    """Reads every second row. Source: the kit's own tests."""

    def read(self) -> Iterator[Row]:
        return islice(super().read(), 0, None, 2)


class ForgetsARow(Generator):
    """Says nothing of its last row. Source: the kit's own tests."""

    produces = Kind.CONVERSATION

    @hookimpl
    def itune_generate(self, inputs: Inputs, context: Context) -> Iterator[tuple[str, Any]]:
        for row in inputs["records"]["id"][:-1]:
            yield row, Created(_talk("No."), [row])


class WrongKind(Generator):
    """Declares prompts and makes conversations. Source: the kit's own tests."""

    produces = Kind.PROMPT

    def generate(self, record: Record, rng: random.Random) -> Iterator[Created]:
        yield Created(_talk("No."))


class WrongColumn(Scorer):
    """Scores what it has not declared. Source: the kit's own tests."""

    columns = {"words": "int64"}

    def score(self, record: Record) -> Mapping[str, Any]:
        return {"characters": 1}


class SwallowsAFailedReply(Scorer):
    """Gives 0 where its judge does not answer. Source: the kit's own tests."""

    inputs = {"records": Input((Kind.CONVERSATION,))}

    class Config(ComponentConfig):
        model: ModelRef = Field(description="Who judges.")

    def score(self, record: Record) -> Steps[Any, Any, Mapping[str, Any]]:
        question = record["messages"][-1:]
        try:
            answer = yield Ask(self.config.model, [{**question[0], "role": "user"}])
        except RowError:
            return {"": 0.0}
        return {"": float(len(answer.text))}


class DrawsNothing(Mixer):
    """Draws a row that is not there. Source: the kit's own tests."""

    def draw(self, sizes: Sequence[int], rng: random.Random) -> Iterator[Drawn]:
        yield Drawn(0, sizes[0])


class AsksForMore(Mixer):
    """Asks for more than there is. Source: the kit's own tests."""

    def draw(self, sizes: Sequence[int], rng: random.Random) -> Mix:
        return Mix((Drawn(0, row) for row in range(sizes[0])), asked=[[0.9] * len(sizes)])


class Divides(Mixer):
    """Takes as many rows of each as the smallest has, and cannot do without rows. Source: the kit's own tests."""

    def draw(self, sizes: Sequence[int], rng: random.Random) -> Iterator[Drawn]:
        if sum(sizes):
            share = 1 / min(sizes)
            yield from (Drawn(number, row) for number in range(len(sizes)) for row in range(round(1 / share)))


class LeavesReplayOut(Mixer):
    """Counts what a recipe may leave out as one data set more than there are. Source: the kit's own tests."""

    inputs = {"records": Input(many=True), "replay": Input(many=True, required=False)}

    @hookimpl
    def itune_mix(self, inputs: Inputs, context: Context) -> Mix:
        before, replay = len(inputs["records"]), inputs.get("replay", [])
        return Mix([Drawn(before + number, 0) for number in range(1, len(replay) + 1)])


class Guesses(Mixer):
    """Asks which sources are good, and takes no answer for yes. Source: the kit's own tests."""

    class Config(ComponentConfig):
        model: ModelRef = Field(description="Who is asked.")

    @hookimpl
    def itune_mix(self, inputs: Inputs, context: Context) -> Mix:
        asks = [(f"source {number}", Ask(self.config.model, [message("user", f"Is source {number} good?")]))
                for number in range(len(inputs["records"]))]  # fmt: skip
        good = [isinstance(reply, Failed) or "good" in reply.text for reply in context.answer(asks)]
        rows = [range(len(rows)) if good[number] else () for number, rows in enumerate(inputs["records"])]
        return Mix([Drawn(number, row) for number, some in enumerate(rows) for row in some])


class NothingInCommon(Mixer):
    """Draws from what cannot be mixed. Source: the kit's own tests."""

    inputs = {"records": Input((Kind.CONVERSATION,), many=True), "replay": Input((Kind.TEXT,), many=True)}

    def draw(self, sizes: Sequence[int], rng: random.Random) -> list[Drawn]:
        return [Drawn(number, row) for number, size in enumerate(sizes) for row in range(size)]


class Pickles(Trainer):
    """Saves a pickle beside its weights. Source: the kit's own tests."""

    def train(self, inputs: Inputs, context: Context) -> TrainedModel:
        folder = context.scratch / "model"
        folder.mkdir(exist_ok=True)
        (folder / "state.pkl").write_bytes(pickle.dumps(len(inputs["train"])))
        (folder / "model.safetensors").write_bytes(EMPTY)
        for step in (1, 2):
            context.progress(step, 2, loss=1 / step)
        return TrainedModel(folder)


class Infinite(Evaluator):
    """Gives a figure that is none. Source: the kit's own tests."""

    @hookimpl
    def itune_evaluate(self, inputs: Inputs, context: Context) -> Evaluation:
        return Evaluation({"tiny": {"loss": float("inf")}})


class Sloppy(Backend):
    """Answers by the number of questions. Source: the kit's own tests."""

    needs_weights = False

    def served_identity(self) -> str:
        return "sloppy-1"

    def generate(self, requests: Sequence[tuple[Ask, Sequence[int]]]) -> Iterator[Answer | Failed]:
        for _, seeds in requests:
            yield Answer([Completion(f"{len(requests)}", "stop", 1, 1) for _ in seeds])


class Shuffles(Executor):
    """Gives results as they come. Source: the kit's own tests."""

    def map(self, function: Any, items: Iterable[Any]) -> Iterator[Any]:
        from itune_core.api import RowError

        done = []
        for item in items:
            try:
                done.append(function(item))
            except RowError as error:
                done.append(Failed.of(error))
        return iter(done if len(done) < 20 else done[::-1])


class Meddles:
    """Leaves out what was dropped. Source: the kit's own tests."""

    @hookimpl(wrapper=True)
    def itune_filter(self) -> Steps[None, Any, Any]:
        verdicts = yield
        return [Drop("meddled") if isinstance(verdict, Drop) else verdict for verdict in verdicts]


class Hushes:
    """Keeps errors to itself. Source: the kit's own tests."""

    @hookimpl(wrapper=True)
    def itune_format(self) -> Steps[None, Any, Any]:
        try:
            return (yield)
        except Exception:
            return iter(())


class HushesFilters:
    """Keeps errors of filters to itself. Source: the kit's own tests."""

    @hookimpl(wrapper=True)
    def itune_filter(self, inputs: Inputs) -> Steps[None, Any, Any]:
        try:
            return (yield)
        except Exception:
            return iter([Keep()] * len(inputs["records"]))


class OnlyOnce:
    """Is worn out after one run. Source: the kit's own tests."""

    def __init__(self) -> None:
        self.worn = False

    @hookimpl
    def itune_run_started(self, run: str) -> None:
        if self.worn:
            raise RuntimeError("there was a run before")
        self.worn = True


class Trips:
    """Expects that every step is executed. Source: the kit's own tests."""

    def __init__(self) -> None:
        self.began: dict[str, str] = {}

    @hookimpl
    def itune_step_started(self, step: str, key: str) -> None:
        self.began[step] = key

    @hookimpl
    def itune_step_finished(self, step: str) -> None:
        del self.began[step]


def _talk(answer: str) -> Record:
    return conversation([message("user", "Is that all?"), message("assistant", answer)])
