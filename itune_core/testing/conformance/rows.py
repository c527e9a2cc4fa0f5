"""What holds for a component of any of the seven stages when it is given rows."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from itune_core.api.errors import ItuneError
from itune_core.testing.comparing import Numeric, difference
from itune_core.testing.conformance.component import Conformance
from itune_core.testing.poison import poisoned
from itune_core.testing.trial import WHOLE, Trial
from itune_core.testing.tried import RowSubject
from itune_core.testing.verdict import fail

VICTIM = 1
"""Number of the row that is poisoned."""


class RowsConformance(Conformance):
    """Tests of a component of one of the seven stages.

    Attributes:
        rows: records to try it with, all of one kind; empty: the kit's (:func:`itune_core.testing.samples`), of the
            first kind that its first input takes.
        count: how many of them are used; None: all.
        columns: more columns of the rows, score columns say: values by name, repeated to the number of rows.
        reply: answers its requests in place of the two-layer model: a method ``reply(self, request)`` that gives an
            ``Answer``, ``TokenLogProbs``, ``Vectors`` or ``Failed``.
        order: ``"free"``: what it says of a row does not depend on where the row stands; ``"defined"``: it does, on
            purpose.
        scope: ``"row"``: what it says of a row depends on no other row; ``"group"``: on the rows of its group alone;
            ``"whole"``: on all.
        group: the column whose values make groups, for scope ``"group"``.
        numeric: ``"exact"``, or ``"tolerance"`` where numbers may differ by rounding.
    """

    rows: Sequence[Any] = ()
    count: ClassVar[int | None] = None
    columns: Mapping[str, Sequence[Any]] = {}
    order: ClassVar[Literal["free", "defined"]] = "free"
    scope: ClassVar[Literal["row", "group", "whole"]] = "row"
    group: ClassVar[str] = "source"
    numeric: ClassVar[Numeric] = "exact"

    subject_type = RowSubject

    def test_it_gives_what_its_stage_gives(self, subject: RowSubject) -> None:
        """A result of the declared kind and shape, taken by the engine as a run would take it."""
        assert subject.loaded
        error = subject.mishap
        if isinstance(error, ItuneError):
            fail(f"{error.code}: {error.what}", why=error.why or "", fix=error.fix or "", cause=error)
        if error is not None:
            fail(
                f"it raised {type(error).__name__}: {error}",
                fix="the traceback shows where; if a row is at fault, raise RowError (itune_core.api)",
                cause=error,
            )

    def test_its_books_balance(self, subject: RowSubject) -> None:
        """Every row it was given is used, dropped or failed, once; a mixer's may also stay undrawn."""
        error = subject.trial.unbalanced
        if error is not None:
            fail(error.what, why=error.why or "", fix="answer for every row it is given, exactly once")

    def test_the_same_seed_gives_the_same_bytes(self, subject: RowSubject) -> None:
        """Another instance with the same rows, settings and seed leaves the same files."""
        first, again = subject.trial, subject.attempt()
        changed = difference(dict(first.answers), dict(again.answers))
        if changed is None and first.outputs == again.outputs:
            changed = difference(dict(first.files), dict(again.files))
        elif changed is None:
            changed = difference(dict(first.outputs), dict(again.outputs))
        if changed is not None:
            fail(
                f"a second time, with the same seed, the result is another: {changed}",
                fix="draw from context.rng(...) or the rng it is handed, never from random, the clock or hash(); "
                "sort sets before going through them",
            )

    def test_how_the_work_is_done_changes_nothing(self, subject: RowSubject) -> None:
        """``Runtime`` settings (batch sizes, workers) are left out of the artifact key: any value, same result."""
        first = subject.trial
        for change in subject.runtime_changes():
            other = subject.attempt(changes=change)
            changed = difference(dict(first.answers), dict(other.answers), self.numeric)
            if changed is not None:
                fail(
                    f"with {change} the result is another: {changed}",
                    why="a Runtime setting is not part of the artifact key, so a cached result would be the wrong one",
                    fix="if it is meant to change the result, annotate it without Runtime",
                )

    def test_other_processes_give_the_same(self, subject: RowSubject) -> None:
        """What it hands to ``context.map`` may run in worker processes, a few rows in each."""
        first = subject.trial
        if not subject.mapped:
            return
        try:
            other = subject.attempt(context=subject.bench(workers=2))
        # What cannot be pickled raises anything, and what a worker raises comes from there as it is.
        except Exception as error:
            fail(
                f"it does not work in other processes: {type(error).__name__}: {error}",
                fix="hand context.map a method or a function of a module, and items that pickle",
                cause=error,
            )
        changed = difference(dict(first.answers), dict(other.answers), self.numeric)
        if changed is not None:
            fail(
                f"in other processes the result is another: {changed}",
                why="each process has its own copy of the component: what it remembers of earlier rows is not shared",
                fix="override the stage's hook to see all rows at once",
            )

    def test_the_order_of_rows_matters_only_if_declared(self, subject: RowSubject) -> None:
        """With ``order = "free"`` a row gets the same answer wherever it stands."""
        first = subject.trial
        if self.order == "defined":
            return
        for positions in orders(subject.size):
            changed = _changed(first, subject.attempt(positions), self.numeric)
            if changed is not None:
                fail(
                    f"the answer for a row depends on where it stands: {changed}",
                    why='it declares order = "free", and inserting a row would change what is said of others',
                    fix="draw random numbers from the record's id, keep nothing from row to row; or, if the order is "
                    'meant to count, declare order = "defined"',
                )

    def test_other_rows_matter_only_if_declared(self, subject: RowSubject) -> None:
        """With ``scope = "row"`` a row gets the same answer whichever other rows are there."""
        first = subject.trial
        if self.scope == "whole":
            return
        for positions in self._parts(subject):
            changed = _changed(first, subject.attempt(positions), self.numeric, whole=False)
            if changed is not None:
                fail(
                    f"the answer for a row depends on other rows: {changed}",
                    why=f"it declares scope = {self.scope!r}; rows outside of that were left out",
                    fix='declare scope = "whole" if all rows are meant to count, or "group" with the column that '
                    "makes groups",
                )

    def _parts(self, subject: RowSubject) -> list[list[int]]:
        """Two parts of the rows that leave no group torn."""
        if self.scope == "row":
            return [list(range(start, subject.size, 2)) for start in (0, 1)]
        keys = [str(record[self.group]) for record in subject.records(subject.kind)]
        names = sorted(set(keys))
        halves = (names[::2], names[1::2])
        return [[row for row, key in enumerate(keys) if key in half] for half in halves]

    def test_it_takes_every_kind_it_declares(self, subject: RowSubject) -> None:
        """Each kind of record that its first input names."""
        assert subject.trial
        for kind in subject.first_input.kinds:
            if kind == subject.kind:
                continue
            try:
                unbalanced = subject.attempt(kind=kind).unbalanced
            # A component's code runs here and may raise anything.
            except Exception as error:
                fail(
                    f"it declares that it takes {kind} records, and raised {type(error).__name__}: {error}",
                    fix="name the kinds it takes: inputs = {...: Input((Kind....,))}; for rows it cannot judge, raise "
                    "RowError",
                    cause=error,
                )
            if unbalanced is not None:
                fail(f"with {kind} records {unbalanced.what}", fix="answer for every row, exactly once")

    def test_no_rows_are_no_mishap(self, subject: RowSubject) -> None:
        """An empty data set gives an empty result, or an error that says what to do."""
        assert subject.trial
        try:
            subject.attempt([])
        except ItuneError:
            return
        # A component's code runs here and may raise anything.
        except Exception as error:
            fail(
                f"with no rows it raised {type(error).__name__}: {error}",
                fix="give an empty result, or raise DataError (itune_core.api) with a fix",
                cause=error,
            )

    def test_it_leaves_its_inputs_as_they_were(self, subject: RowSubject) -> None:
        """Records, data sets, the mapping of inputs, input files and its own settings."""
        changed = [*subject.trial.inputs_changed, *subject.files_changed]
        if changed:
            fail(
                f"it changed {'; '.join(changed)}",
                why="other steps and wrappers read the same data",
                fix="copy before changing: record.replace(...), list(...), rows.with_format(...)",
            )

    def test_it_writes_to_its_scratch_folder_only(self, subject: RowSubject) -> None:
        """Nothing in the working folder, the home folder or the temporary folder."""
        assert subject.trial
        found = subject.sandbox.found()
        if found:
            fail(
                f"it wrote {', '.join(found)}",
                why="runs side by side would overwrite each other's files, and nothing would clear them away",
                fix="write below context.scratch; what is to be kept goes through context.artifact(key, make)",
            )

    def test_a_bad_row_fails_alone(self, subject: RowSubject) -> None:
        """One record raises RowError when it is read: that row ends as failed, and no other changes."""
        first = subject.trial
        victim = subject.ids[VICTIM]
        with poisoned(victim) as poison:
            try:
                hurt = subject.attempt()
            # A component's code runs here and may raise anything.
            except Exception as error:
                fail(
                    f"one bad row stopped the whole step: {type(error).__name__}: {error}",
                    fix="where the hook itself goes through rows, catch RowError and answer Failed.of(error) for that "
                    "row",
                    cause=error,
                )
        if not poison.taken:
            return  # it does not read what records hold
        said = hurt.answers.get(victim)
        if not _failed(said):
            fail(
                f"it swallows what a bad row raises: the answer for it is {said!r}",
                why="a failed row must stand in the ledger, never become a default",
                fix="catch no exception that it does not handle, or raise RowError again",
            )
        if self.scope == "row":
            for key in first.answers:
                if key not in (victim, WHOLE):
                    changed = difference(first.answers[key], hurt.answers.get(key), self.numeric, key)
                    if changed is not None:
                        fail(f"one bad row changes what is said of another: {changed}", fix="handle each row alone")


def orders(size: int) -> list[list[int]]:
    """The rows backwards, and shuffled."""
    shuffled = random.Random(1).sample(range(size), size)
    return [list(reversed(range(size))), shuffled]


def _changed(first: Trial, other: Trial, numeric: Numeric, *, whole: bool = True) -> str | None:
    """How an answer in `other` differs from the one in `first`; rows that `other` was not given do not count."""
    for key, answer in other.answers.items():
        if whole or key != WHOLE:
            changed = difference(first.answers.get(key), answer, numeric, key)
            if changed is not None:
                return changed
    return None


def _failed(said: Any) -> bool:
    answers = said if isinstance(said, list) else [said]
    return any(isinstance(answer, Mapping) and answer.get("outcome") == "Failed" for answer in answers)
