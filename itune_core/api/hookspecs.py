"""The contract: one spec class a stage, in pipeline order; one required hook each.

Every hook takes and gives whole data sets, is called by keyword once a step, and must not return None. The base
classes in :mod:`itune_core.api.components` implement them on one easy method per stage; override the hook itself to see
all rows at once. An implementation may take any subset of the arguments.

Extensions implement a stage's hook only as ``hookimpl(wrapper=True)``: exactly one ``yield``, which gives the wrapped
call's result; what it returns takes that result's place. Several results are lazy iterators: a wrapper that cares about
rows must return a new iterator around the one it got. A wrapper becomes part of the artifact key.

The hooks of :class:`Lifecycle` are for observers: they see, cannot change anything, and never enter a key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from pathlib import Path

    from itune_core.api.components import Inputs
    from itune_core.api.context import Context
    from itune_core.api.outcomes import Created, Drop, Evaluation, Failed, Keep, Mix, Rejected, TrainedModel, Used
    from itune_core.api.records import Record

PROJECT = "itune"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Formatters:
    """Raw rows to records."""

    @hookspec(firstresult=True)
    def itune_format(self, context: Context) -> Iterable[tuple[str, Record | Used | Drop | Failed]]:
        """Read raw rows and turn them into records.

        Args:
            context: the engine.

        Returns:
            ``(where, outcome)`` in reading order; `where` is file and line. A row that makes several records comes
            several times, one after the other.

        Raises:
            DataError: nothing can be read at all.
        """


class Generators:
    """Records to more records."""

    @hookspec(firstresult=True)
    def itune_generate(
        self, inputs: Inputs, context: Context
    ) -> Iterable[tuple[str, Created | Rejected | Drop | Failed]]:
        """Make records from records.

        Args:
            inputs: data set by input name.
            context: the engine.

        Returns:
            ``(input id, outcome)``. Of every input record there is a ``Created`` that names it, a ``Drop`` or a
            ``Failed``; what was made of it and is not given, ``Rejected``, comes beside these.
        """


class Filters:
    """Records to fewer records."""

    @hookspec(firstresult=True)
    def itune_filter(self, inputs: Inputs, context: Context) -> Iterable[Keep | Drop | Failed]:
        """Decide for every record of the first input.

        Args:
            inputs: data set by input name.
            context: the engine.

        Returns:
            One verdict a record, in order.
        """


class Scorers:
    """Records to columns."""

    @hookspec(firstresult=True)
    def itune_score(self, inputs: Inputs, context: Context) -> Iterable[Mapping[str, Any] | Failed]:
        """Score every record of the first input.

        Args:
            inputs: data set by input name.
            context: the engine.

        Returns:
            One mapping a record, in order: a value for every part in the component's ``columns``.
        """


class Mixers:
    """Several data sets to one."""

    @hookspec(firstresult=True)
    def itune_mix(self, inputs: Inputs, context: Context) -> Mix:
        """Draw rows from the data sets of the inputs that are declared ``many``, laid end to end in declared order.

        Args:
            inputs: by input name: a list of data sets, or one data set that is only read.
            context: the engine.

        Returns:
            The rows to take, in training order, with the shares that were asked and the tokens that were drawn, if the
            mixer knows them.
        """


class Trainers:
    """Records to a model."""

    @hookspec(firstresult=True)
    def itune_train(self, inputs: Inputs, context: Context) -> TrainedModel:
        """Train a model.

        Args:
            inputs: data set by input name.
            context: the engine; checkpoints go to ``context.scratch``.

        Returns:
            A folder inside ``context.scratch`` and what was measured on the way.
        """


class Evaluators:
    """Models and records to figures."""

    @hookspec(firstresult=True)
    def itune_evaluate(self, inputs: Inputs, context: Context) -> Evaluation:
        """Measure.

        Args:
            inputs: data set by input name.
            context: the engine.

        Returns:
            Figures per model and the table they come from.
        """


class Lifecycle:
    """What observers may watch. Every registered observer is called, in the run's own process; results are ignored.

    An observer may leave tables for the report of the run: ``<folder>/notes/<name>.json``, each an object
    ``{"title": text, "columns": [text], "rows": [[text, number, true, false or null]]}`` with as many cells in a row as
    there are columns. Since a run may be killed at any moment, write a note to another name and rename it.
    """

    @hookspec
    def itune_run_started(self, run: str, recipe: str, folder: Path) -> None:
        """A run begins.

        Args:
            run: its name, ``<UTC>-<name of the recipe>-<6 hex>``.
            recipe: the recipe's file.
            folder: the run's own. Its ``run.json`` says what is known so far: ``name`` and ``seed`` of the recipe and
                the plugins, and, of each step that is done, the names of the models behind its identities.
        """

    @hookspec
    def itune_step_started(self, step: str, component: str, key: str) -> None:
        """A step that was not in the store begins to execute. Steps of one run follow each other."""

    @hookspec
    def itune_step_progressed(self, step: str, done: int, total: int | None, figures: Mapping[str, float]) -> None:
        """An executing step is this far; called as often as it reports, which may be once a record.

        Args:
            step: its name.
            done: how many units it has done: records, or batches of a trainer.
            total: of how many; None if it does not know.
            figures: what it measures on the way, such as the training loss.
        """

    @hookspec
    def itune_step_finished(self, step: str, component: str, key: str, manifest: Mapping[str, Any]) -> None:
        """A step's artifact is published, or was found in the store (``manifest["reused"]``)."""

    @hookspec
    def itune_run_finished(self, run: str, error: str | None) -> None:
        """A run ends; `error` is what stopped it, or None. Its report is written afterwards."""


STAGES: dict[str, tuple[type, str]] = {
    "formatters": (Formatters, "itune_format"),
    "generators": (Generators, "itune_generate"),
    "filters": (Filters, "itune_filter"),
    "scorers": (Scorers, "itune_score"),
    "mixers": (Mixers, "itune_mix"),
    "trainers": (Trainers, "itune_train"),
    "evaluators": (Evaluators, "itune_evaluate"),
}
"""Stage name to its spec class and required hook, in pipeline order."""

RESOURCES = ("backends", "executors", "extensions")
"""Entry-point groups, beside the stages, that a recipe draws on."""
