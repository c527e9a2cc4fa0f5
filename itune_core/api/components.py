"""Base classes: one per stage.

A component is a plain class with a nested ``Config``. The base class implements the stage's hook on one easy method, so
that an author writes only what is particular::

    class Shout(Filter):
        \"\"\"Drop answers in capitals. Source: our style guide.\"\"\"

        def decide(self, record):
            return Drop("capitals") if record["messages"][-1]["content"].isupper() else Keep()

An author who needs the whole data set at once (duplicates, say) overrides the hook method itself. The easy method may
be a generator that asks a model (see :mod:`itune_core.api.asking`).
"""

from __future__ import annotations

import inspect
import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Generator as PyGenerator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from itune_core.api.context import Context, Facts
from itune_core.api.errors import ModelError, RowError
from itune_core.api.fields import ComponentConfig, InputFile, ModelRef
from itune_core.api.hookspecs import hookimpl
from itune_core.api.models import ModelSource
from itune_core.api.outcomes import (
    Check,
    Created,
    Drawn,
    Drop,
    Evaluation,
    Failed,
    Keep,
    Mix,
    Rejected,
    TrainedModel,
    Used,
)
from itune_core.api.randomness import derive_rng
from itune_core.api.reading import BadRow, HubDataset, Reading, Row, hub_rows, read_rows, settled
from itune_core.api.records import Kind, Record, records

if TYPE_CHECKING:
    import datasets

ALL_KINDS = tuple(Kind)


@dataclass(frozen=True)
class Input:
    """What an input takes.

    Attributes:
        kinds: kinds of record it takes; the core casts where it can (see ``docs/records.md``).
        many: takes several data sets (or all variants of one step), in order.
        required: whether a recipe must give it.
        scored: whether the columns that the component :meth:`~Component.reads` are columns of this input. Not so: rows
            that are only measured against, say.
    """

    kinds: Sequence[Kind] = ALL_KINDS
    many: bool = False
    required: bool = True
    scored: bool = True


Inputs = Mapping[str, Any]
"""What a hook is handed: input name to `datasets.Dataset`, or to a list of them where the input is ``many``."""


class Component:
    """What all components share.

    Attributes:
        stage: the stage it belongs to, set by the base class of the stage.
        inputs: its inputs by name; a bare ``from`` in a recipe is the first.
        outputs: names of its outputs; the first is the one a bare step name means.
        produces: kind of record it gives back; None: the kind of its first input.
        Config: its settings.
    """

    stage: ClassVar[str]
    inputs: ClassVar[Mapping[str, Input]] = {"records": Input()}
    outputs: ClassVar[Sequence[str]] = ("records",)
    produces: ClassVar[Kind | None] = None

    class Config(ComponentConfig):
        """No settings."""

    def __init__(self, config: Any) -> None:
        self.config = config

    @classmethod
    def needed_inputs(cls) -> tuple[str, ...]:
        """Names of the inputs that a smallest use of it gives: the required ones; where none is, the first."""
        required = tuple(name for name, spec in cls.inputs.items() if spec.required)
        return required or tuple(cls.inputs)[:1]

    @classmethod
    def inputs_for(cls, config: Any) -> Mapping[str, Input]:
        """:attr:`inputs` under these settings: the same names, and of the kinds there some. Override where a setting
        decides which kinds of record it takes, so that a recipe is checked, and records are cast, accordingly."""
        return cls.inputs

    @classmethod
    def produces_for(cls, config: Any) -> Kind | None:
        """:attr:`produces` under these settings. Override where a setting decides which kind of record it gives."""
        return cls.produces

    def reads(self) -> Sequence[str]:
        """The score columns it reads (``score.<step>[.<part>]``); only these enter its artifact key."""
        return ()

    def depends_on(self) -> Sequence[str]:
        """Distributions, besides its own, whose version decides what it gives under these settings: that of an
        analyser, say, or one that brings a model or a dictionary. Each is among the dependencies that its own
        distribution declares, or among those of an extra.

        Their versions enter its artifact key, so that an upgrade makes the artifact anew; of one that is not installed,
        that it is not. Left out is what gives the same in every version (arithmetic, a reader of a fixed format), and
        what computes a model (torch, transformers), which stands in the manifest alone."""
        return ()

    def settle(self, facts: Facts) -> Any:
        """The config with every ``auto`` replaced by what suits this machine; called before the key is computed."""
        return self.config


def _each(method: Callable[[Record], Any], rows: datasets.Dataset, context: Context) -> Iterator[tuple[str, Any]]:
    """``(id, result or Failed)`` of an easy method for every record, whether it is plain or asks a model."""
    if inspect.isgeneratorfunction(method):
        dialogues = ((record["id"], method(record)) for record in records(rows))
        for finished in context.converse(dialogues, len(rows)):
            yield finished.key, finished.result
    else:
        yield from zip(rows["id"], context.map(method, records(rows)), strict=True)


def _listed(paths: str | Sequence[str]) -> list[str]:
    return [paths] if isinstance(paths, str) else list(paths)


class Formatter(Component):
    """Turns raw rows into records. Easy method: :meth:`format`."""

    stage = "formatters"
    inputs = {}

    class Config(ComponentConfig):
        """Settings that every formatter of files has."""

        path: InputFile | list[InputFile] | None = Field(
            None,
            description="File, folder or glob of rows, `-` for standard input, or a list of them.",
            examples=["data/rows.jsonl"],
        )
        hub: HubDataset | None = Field(None, description="A data set of the hub, in the place of `path`.")
        reading: Reading = Field(Reading(), description="How the rows are written.")
        source: str | None = Field(
            None, description="Name written into each record's `source`; the component's name if unset."
        )
        limit: int | None = Field(None, ge=1, description="Read only the first so many rows.")

        @model_validator(mode="after")
        def _one_source(self) -> Self:
            if (self.path in (None, [])) == (self.hub is None):
                raise ValueError("one of `path` and `hub`" + (", not both" if self.hub else ""))
            if self.hub is not None and self.reading != Reading(columns=self.reading.columns):
                raise ValueError("of `reading`, only `columns` for a data set of the hub, which says how it is written")
            return self

    _seed = 0

    def format(self, row: Row) -> Record | Drop | Iterable[Record | Used]:
        """The record of a raw row; several, and what else there is to say of it; or why it is left out.

        Raises:
            RowError: the row is bad; it goes to the ledger with its file and line.
        """
        raise TypeError(f"{type(self).__name__} must define format()")

    def settle(self, facts: Facts) -> Any:
        """The config with the format and encoding of its files, so that these stand in the key; not where
        :meth:`read` is overridden, which alone knows what it reads."""
        config = self.config
        if not isinstance(config, Formatter.Config) or config.path is None or type(self).read is not Formatter.read:
            return config
        return config.model_copy(update={"reading": settled(_listed(config.path), config.reading)})

    def read(self) -> Iterator[Row | BadRow]:
        """The raw rows, in order. Override to read what is neither a file nor a data set of the hub."""
        config = self.config
        if config.hub is not None:
            return hub_rows(config.hub, config.reading.columns)
        return read_rows(_listed(config.path), config.reading)

    def rng(self, row: Row, *parts: str | int) -> random.Random:
        """A generator seeded by (step seed, content of `row`, `parts`): a row draws the same numbers wherever it
        stands, and equal rows draw the same."""
        return derive_rng(self._seed, json.dumps(dict(row), sort_keys=True, default=repr), *parts)

    @hookimpl
    def itune_format(self, context: Context) -> Iterator[tuple[str, Record | Used | Drop | Failed]]:
        self._seed = context.rng().getrandbits(63)
        rows = self.read()
        if self.config.limit is not None:
            rows = islice(rows, self.config.limit)
        for where, outcomes in context.map(self._format_row, rows):  # type: ignore[misc]
            for outcome in outcomes:
                yield where, outcome

    def _format_row(self, row: Row | BadRow) -> tuple[str, list[Record | Used | Drop | Failed]]:
        if isinstance(row, BadRow):
            return row.where, [Failed.of(row.error)]
        try:
            made = self.format(row)
            outcomes: list[Record | Used | Drop | Failed] = [made] if isinstance(made, (Record, Drop)) else list(made)
        except RowError as error:
            return row.where, [Failed.of(error)]
        if self.config.source is not None:
            outcomes = [
                item.replace(source=self.config.source) if isinstance(item, Record) and item["source"] is None else item
                for item in outcomes
            ]
        return row.where, outcomes


class Generator(Component):
    """Makes records from records. Easy method: :meth:`generate`."""

    stage = "generators"
    inputs = {"records": Input((Kind.PROMPT,))}

    def generate(self, record: Record, rng: random.Random) -> Iterator[Any]:
        """Yield requests (see :mod:`itune_core.api.asking`) and any number of ``Created`` and ``Rejected``.

        Return ``Drop(reason)`` to say why nothing was made of this record.
        """
        raise TypeError(f"{type(self).__name__} must define generate()")

    @hookimpl
    def itune_generate(
        self, inputs: Inputs, context: Context
    ) -> Iterator[tuple[str, Created | Rejected | Drop | Failed]]:
        rows = inputs[next(iter(self.inputs))]
        dialogues = ((row["id"], self._dialogue(row, context.rng(row["id"]))) for row in records(rows))
        for finished in context.converse(dialogues, len(rows)):
            for item in finished.made:
                yield finished.key, item
            if isinstance(finished.result, (Drop, Failed)):
                yield finished.key, finished.result
            elif not any(isinstance(item, Created) for item in finished.made):
                yield finished.key, Drop("nothing-made")

    def _dialogue(self, record: Record, rng: random.Random) -> PyGenerator[Any, Any, Any]:
        return (yield from self.generate(record, rng))


class Filter(Component):
    """Keeps or drops records; cannot change them. Easy method: :meth:`decide`."""

    stage = "filters"

    def decide(self, record: Record) -> Keep | Drop | PyGenerator[Any, Any, Keep | Drop]:
        """Keep this record, or drop it for a reason. May be a generator that asks a model."""
        raise TypeError(f"{type(self).__name__} must define decide()")

    @hookimpl
    def itune_filter(self, inputs: Inputs, context: Context) -> Iterator[Keep | Drop | Failed]:
        return (verdict for _, verdict in _each(self.decide, inputs[next(iter(self.inputs))], context))


class Scorer(Component):
    """Gives records numbers; cannot change or drop them. Easy method: :meth:`score`.

    Attributes:
        columns: Arrow type of each column it gives, by part name; the part ``""`` is named after the step alone.
    """

    stage = "scorers"
    columns: ClassVar[Mapping[str, str]] = {"": "float64"}

    @classmethod
    def columns_for(cls, config: Any) -> Mapping[str, str]:
        """:attr:`columns` under these settings: some of them, in that order. Override where a setting decides which
        there are."""
        return cls.columns

    def score(self, record: Record) -> Mapping[str, Any] | PyGenerator[Any, Any, Mapping[str, Any]]:
        """The value of every part in :meth:`columns_for` its config. May be a generator that asks a model.

        Raises:
            RowError: this record has no score; it stays null and stands in the ledger as failed.
        """
        raise TypeError(f"{type(self).__name__} must define score()")

    @hookimpl
    def itune_score(self, inputs: Inputs, context: Context) -> Iterator[Mapping[str, Any] | Failed]:
        return (values for _, values in _each(self.score, inputs[next(iter(self.inputs))], context))


class Mixer(Component):
    """Draws rows from several data sets; cannot make any. Easy method: :meth:`draw`.

    It draws from the data sets of all inputs that it declares ``many``, laid end to end in declared order; an optional
    one that the recipe leaves out has none. Any other input is only read: a target to come near to, say.

    Attributes:
        mixes_kinds: whether it may draw from data sets of different kinds of record (conversations and text for the
            replay of pre-training data, say). What it gives then has the columns of all of them, null where a kind
            lacks them, and each row's ``kind`` says which it is.
    """

    stage = "mixers"
    inputs = {"records": Input(many=True)}
    mixes_kinds: ClassVar[bool] = False

    @classmethod
    def drawn_from(cls) -> tuple[str, ...]:
        """Names of the inputs that it draws from: those declared ``many``, in declared order."""
        return tuple(name for name, spec in cls.inputs.items() if spec.many)

    def draw(self, sizes: Sequence[int], rng: random.Random) -> Iterable[Drawn] | Mix:
        """The rows to take, in order, from data sets of these many rows. All randomness comes from `rng`."""
        raise TypeError(f"{type(self).__name__} must define draw()")

    @hookimpl
    def itune_mix(self, inputs: Inputs, context: Context) -> Mix:
        sizes = [len(rows) for name in self.drawn_from() for rows in inputs.get(name, ())]
        drawn = self.draw(sizes, context.rng())
        return drawn if isinstance(drawn, Mix) else Mix(drawn)


class Trainer(Component):
    """Makes a model from records. Method: :meth:`train`."""

    stage = "trainers"
    inputs = {"train": Input((Kind.CONVERSATION,)), "eval": Input((Kind.CONVERSATION,), required=False)}
    outputs = ("model",)

    def train(self, inputs: Inputs, context: Context) -> TrainedModel:
        """Train on ``inputs["train"]``, resuming from ``context.scratch`` if a killed run left checkpoints there."""
        raise TypeError(f"{type(self).__name__} must define train()")

    def preview(self, inputs: Inputs, context: Context) -> Iterator[tuple[str, list[tuple[str, bool]]]]:
        """Each training row as the model sees it: ``(record id, [(token text, whether it is trained on)])``."""
        raise TypeError(f"{type(self).__name__} shows no tokens")

    def merge(self, source: ModelSource, folder: Path, dtype: Literal["float32", "bfloat16"]) -> Mapping[str, Any]:
        """Save the model of `source` in the empty `folder`, its adapter in the weights, in `dtype`; with its tokenizer.

        Returns:
            The largest ``difference`` of an output to those of the adapter on its base in float32, the ``largest`` of
            these, the most that the ``adapter`` changes them; how many ``rows`` and ``tokens`` were compared. More than
            rounding explains is a `ModelError`.
        """
        raise ModelError("E-MODEL-018", f"{type(self).__name__} cannot merge an adapter", fix="leave --merge out")

    def selftest(self, context: Context) -> Iterator[Check]:
        """Try out, on the model of the config, what a training relies on; finding by finding, and without data."""
        raise ModelError("E-MODEL-019", f"{type(self).__name__} has no self-test", fix="try --uses trainers/sft")

    @hookimpl
    def itune_train(self, inputs: Inputs, context: Context) -> TrainedModel:
        return self.train(inputs, context)


class Evaluator(Component):
    """Measures models, or data. Easy methods: :meth:`evaluate` and :meth:`summarise`."""

    stage = "evaluators"
    outputs = ("metrics",)

    class Config(ComponentConfig):
        """Settings that every evaluator of models has."""

        models: list[ModelRef] = Field(min_length=1, description="Models or training steps to measure, in table order.")

    def evaluate(self, record: Record, model: str) -> PyGenerator[Any, Any, Mapping[str, Any]]:
        """One row of the table: flat values for this record and model. A generator that asks `model`."""
        raise TypeError(f"{type(self).__name__} must define evaluate()")

    def summarise(self, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, float]:
        """The figures of one model from its table rows (at least one)."""
        raise TypeError(f"{type(self).__name__} must define summarise()")

    @hookimpl
    def itune_evaluate(self, inputs: Inputs, context: Context) -> Evaluation:
        rows = inputs[next(iter(self.inputs))]
        table: list[Mapping[str, Any]] = []
        failed: dict[str, Failed] = {}
        for model in self.config.models:
            dialogues = ((row["id"], self.evaluate(row, model)) for row in records(rows))
            for finished in context.converse(dialogues, len(rows)):
                if isinstance(finished.result, Failed):
                    failed[finished.key] = Failed(finished.result.code, f"{model}: {finished.result.message}")
                else:
                    table.append({"id": finished.key, "model": model, **finished.result})
        # figures are compared, so all are over the records that every model could be measured on
        table = [row for row in table if row["id"] not in failed]
        by_model = {model: [row for row in table if row["model"] == model] for model in self.config.models}
        metrics = {model: self.summarise(measured) for model, measured in by_model.items() if measured}
        return Evaluation(metrics, table, failed)
