"""What a component says of a row, and what a stage gives back.

The forms make the balance of DESIGN true by construction: a filter cannot change a row because it only answers
:class:`Keep` or :class:`Drop`; a mixer cannot invent one because it only names the rows it draws.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from itune_core.api.errors import ItuneError
from itune_core.api.models import Architecture
from itune_core.api.records import Record


@dataclass(frozen=True)
class Drop:
    """This row was left out on purpose. `reason` is a short stable slug (it is counted), `detail` is for people."""

    reason: str
    detail: str = ""


@dataclass(frozen=True)
class Failed:
    """This row could not be handled, or this request not be answered. A row is neither kept nor given a default; it
    counts against ``max_failed``.

    Attributes:
        code, message: of the error.
        transient: whether the same may succeed at another time: a server was busy, say.
    """

    code: str
    message: str
    transient: bool = False

    @classmethod
    def of(cls, error: ItuneError) -> Failed:
        """The ledger's view of an error raised while handling one row."""
        parts = (error.what, error.why)
        return cls(error.code, ": ".join(part for part in parts if part), getattr(error, "transient", False))


@dataclass(frozen=True)
class Used:
    """A formatter used this raw row, and there is more to say of it than its records do.

    The row went into a record that stands at another row (a turn of a dialogue whose turns are rows), or some of it was
    left out. `reason` and `detail` are as in :class:`Drop`; they stand in the ledger. It may come beside records of the
    same row, or alone.
    """

    reason: str
    detail: str = ""


@dataclass(frozen=True)
class Keep:
    """A filter keeps this row, in the output of that name (the first declared output if None)."""

    output: str | None = None


@dataclass(frozen=True)
class Created:
    """A record that a generator made.

    Attributes:
        record: without an id, which the engine sets.
        parents: what it was made from: ids of input records; or, where that is a record which the generator gave before
            for the same input record, that ``Created`` itself, in whose place the engine puts the id.
    """

    record: Record
    parents: Sequence[str | Created] = ()


@dataclass(frozen=True)
class Rejected:
    """Something that a generator made, or was asked for, and that is not in its output.

    It stands in the ledger beside the record it was made from, and is counted by `reason`, a short stable slug; what
    becomes of that record is said as if it were not there. `detail` is for people.
    """

    reason: str
    detail: str = ""


class Drawn(NamedTuple):
    """A mixer takes row number `row` of data set number `input`, for a phase and an epoch of training.

    A tuple, since a mixer makes a million of them. All four count from 0; `input` counts through the data sets of all
    inputs that the mixer declares ``many``, laid end to end in declared order.

    Trainers follow the order of a mix in which any phase or epoch is not 0, and end an optimiser step where either
    changes. A mix of one phase and one epoch is a set to them, which they shuffle unless they are told not to.
    """

    input: int
    row: int
    phase: int = 0
    epoch: int = 0


@dataclass(frozen=True)
class Mix:
    """What a mixer gives: the rows to take, and what it set out to take.

    Attributes:
        draws: in training order.
        asked: by phase, the share of the rows that was asked of each data set. The shares of a phase sum to 1, or are
            all 0 where nothing was asked. Empty: no shares were asked.
        tokens: by phase, the tokens drawn from each data set. Empty: they were not counted.
    """

    draws: Iterable[Drawn]
    asked: Sequence[Sequence[float]] = ()
    tokens: Sequence[Sequence[int]] = ()


@dataclass(frozen=True)
class TrainedModel:
    """What a trainer leaves: a folder inside ``context.scratch``.

    Attributes:
        folder: a saved transformers model, or a PEFT adapter if `adapter_of` names its base.
        architecture: what the model computes.
        adapter_of: name of the model (as in the recipe) whose weights the adapter sits on, None for full weights.
        metrics: final figures, e.g. ``{"loss": 1.93, "supervised_tokens": 3840}``.
        history: one mapping per logged step.
        dropped: rows that were not trained on, by id, and why (over-long, say); with failures.
        cut: how many tokens of a row the recipe's length policy removed, by id, where it removed any.
    """

    folder: Path
    architecture: Architecture = "causal"
    adapter_of: str | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    history: Sequence[Mapping[str, Any]] = ()
    dropped: Mapping[str, Drop | Failed] = field(default_factory=dict)
    cut: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Rule:
    """A linear rule over score columns, as an evaluator fits one: ``intercept + sum(coefficient * indicator)``.

    Attributes:
        target: what it predicts, and on which scale: ``"log inference loss"``.
        intercept: the prediction where every indicator is 0.
        coefficients: by indicator; none is a legal rule, that predicts the same of all.
        indicators: the score column that each was fitted on.
        notes: figures of the fit, JSON values.
    """

    target: str
    intercept: float
    coefficients: Mapping[str, float]
    indicators: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)

    def predict(self, values: Mapping[str, float]) -> float:
        """The prediction for these values of the indicators; infinite or NaN where it is beyond what floats hold.

        Raises:
            KeyError: one that the rule needs is missing.
        """
        terms = [weight * values[name] for name, weight in self.coefficients.items()]
        try:
            return self.intercept + math.fsum(terms)
        except (OverflowError, ValueError):  # a sum beyond all floats, or of both infinities
            return math.nan


@dataclass(frozen=True)
class Evaluation:
    """What an evaluator gives: figures, and the table of single results they were computed from.

    Attributes:
        metrics: figure by name and model, ``{model: {metric: number}}``. The empty string stands for "no model".
        table: one flat mapping per record and model; has ``id`` and ``model`` columns.
        failed: records that could not be evaluated, by id.
        rule: one that was fitted; other steps read it with :meth:`Context.rule`.
    """

    metrics: Mapping[str, Mapping[str, float]]
    table: Iterable[Mapping[str, Any]] = ()
    failed: Mapping[str, Failed] = field(default_factory=dict)
    rule: Rule | None = None


@dataclass(frozen=True)
class Check:
    """One finding of a trainer's self-test.

    Attributes:
        name: what was tried, in a few words.
        passed: whether it holds.
        figure: what was measured; None where nothing could be.
        tolerance: the figure's bound, in words or as a number: ``0.0001``, ``above 0``, ``3``.
        note: what `figure` counts, or why the check failed.
    """

    name: str
    passed: bool
    figure: float | None
    tolerance: float | str | None
    note: str
