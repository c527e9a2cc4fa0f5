"""What holds for a component of any of the seven stages when it is given rows."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import pytest

from itune_core.api.errors import ItuneError, RowError
from itune_core.api.outcomes import Rule
from itune_core.engine.errors import RunError
from itune_core.testing.comparing import Numeric, difference, plain
from itune_core.testing.conformance.component import Conformance, after_all_trials, for_its_author
from itune_core.testing.elsewhere import Mishap
from itune_core.testing.poison import is_poison, poisoned
from itune_core.testing.subject import MISSING
from itune_core.testing.trial import WHOLE, Trial
from itune_core.testing.tried import RowSubject
from itune_core.testing.verdict import does_not_apply, fail

VICTIM = 1
"""Number of the row that is poisoned."""


class RowsConformance(Conformance):
    """Tests of a component of one of the seven stages.

    Attributes:
        rows: records to try it with, all of one kind; empty: the kit's (:func:`itune_core.testing.samples`), of the
            first kind that its first input takes.
        count: how many of them are used; None: all.
        columns: more columns of the rows, score columns say: values by name, repeated to the number of rows.
        rules: fitted rules by the name of a step, for a component with a ``StepRef`` that reads one.
        reply: answers its requests in place of the two-layer model: a method ``reply(self, request)`` that gives an
            ``Answer``, ``TokenLogProbs``, ``AnswerRewards``, ``Vectors`` or ``Failed``.
        order: ``"free"``: what it says of a row does not depend on where the row stands; ``"defined"``: it does, on
            purpose.
        scope: ``"row"``: what it says of a row depends on no other row; ``"group"``: on the rows of its group alone;
            ``"whole"``: on all.
        group: the column whose values make groups, for scope ``"group"``.
        numeric: ``"exact"``, or ``"tolerance"`` where numbers may differ by rounding.
    """

    rows: Sequence[Any] = ()
    count: ClassVar[int | None] = None
    rules: Mapping[str, Rule] = {}
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
        if isinstance(error, RowError):
            fail(
                f"the error of one row stopped the whole step: {error.code}: {error.what}",
                fix="in a hook of its own, hand what is done row by row to context.map, which gives Failed in the "
                "place of a row that raises; or catch RowError and answer Failed.of(error)",
                cause=error,
            )
        if isinstance(error, ItuneError):
            fail(f"{error.code}: {error.what}", why=error.why or "", fix=for_its_author(error), cause=error)
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
        changed = _otherwise(subject.trial, subject.second)
        if changed is not None:
            fail(
                f"a second time, with the same seed, the result is another: {changed}",
                fix="draw from context.rng(...) or the rng it is handed, never from random or the clock",
            )

    def test_another_process_gives_the_same_bytes(self, subject: RowSubject) -> None:
        """A process in which texts have other hashes and sets another order leaves the same files."""
        first = subject.trial
        if _otherwise(first, subject.second) is not None:
            pytest.skip("see test_the_same_seed_gives_the_same_bytes")
        other = subject.attempt_elsewhere()
        if isinstance(other, Mishap):
            fail(
                f"in another process it does not work: {other.what}\n{other.traceback}",
                why="a run may go on in another process than it began in",
                fix="ask and read the same there: use no hash(), no process id, and sort sets before going through "
                "them",
            )
        changed = _otherwise(first, other)
        if changed is not None:
            fail(
                f"in another process, with the same seed, the result is another: {changed}",
                why="texts have other hashes there, sets another order, and the process another number",
                fix="use hashlib where hash() stood, and sort sets before going through them",
            )

    def test_how_the_work_is_done_changes_nothing(self, subject: RowSubject) -> None:
        """``Runtime`` settings (batch sizes, workers) are left out of the artifact key: any value, same result.

        A value that it refuses on this machine with an error of itune's family (a device that is not there) counts for
        nothing.
        """
        first = subject.trial
        changes = subject.runtime_changes()
        if not changes:
            does_not_apply("it has no Runtime setting with another value to try")
        for change in changes:
            try:
                other = subject.attempt(changes=change)
            # A component's code runs here and may raise anything.
            except Exception as error:
                if isinstance(error, ItuneError) and not isinstance(error, (RowError, RunError)):
                    continue
                fail(
                    f"with {change} it raised {type(error).__name__}: {error}",
                    fix="mend it; or, if this machine cannot do that, raise ModelError or DataError (itune_core.api)",
                    cause=error,
                )
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
        if not subject.bench_of_first.mapped:
            does_not_apply("it hands nothing to context.map")
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
            does_not_apply('it declares order = "defined"')
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
            does_not_apply('it declares scope = "whole"')
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

    def test_a_missing_file_is_an_error_that_says_so(self, subject: RowSubject) -> None:
        """Where an ``InputFile`` setting names nothing, an error of itune's family, or rows that fail; never silence.

        An unset one that it does not read with the author's other settings may also go unread.
        """
        first = subject.trial
        if not subject.files:
            does_not_apply("it has no InputFile setting")
        for name, was_set in subject.files.items():
            try:
                other = subject.attempt(changes={name: MISSING})
            except ItuneError:
                continue
            # A component's code runs here and may raise anything.
            except Exception as error:
                fail(
                    f"with {name} = {MISSING!r} it raised {type(error).__name__}: {error}",
                    why="who misspells a path is to read what to do, not a traceback",
                    fix="raise DataError (itune_core.api) with a fix; read_rows does",
                    cause=error,
                )
            if was_set and _otherwise(first, other) is None:
                fail(
                    f"with {name} = {MISSING!r} the result is the same",
                    fix="read the file, or raise DataError (itune_core.api) where it is missing",
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

    @after_all_trials
    def test_it_writes_to_its_scratch_folder_only(self, subject: RowSubject) -> None:
        """In no trial anything in the working, home or temporary folder, or in the package's own."""
        assert subject.trial
        found = subject.traces
        if found:
            fail(
                f"it wrote {', '.join(found)}",
                why="runs side by side would overwrite each other's files, and nothing would clear them away",
                fix="write below context.scratch; what is to be kept goes through context.artifact(key, make)",
            )

    def test_a_failed_reply_fails_its_row(self, subject: RowSubject) -> None:
        """A model does not answer one request of a row: that row ends as failed, and no other changes.

        Once for the first request it makes for that row, once for the last.
        """
        first = subject.trial
        asked = subject.bench_of_first.asked
        if not asked:
            does_not_apply("it asks no model")
        victim = list(asked)[min(VICTIM, len(asked) - 1)]
        for number in sorted({0, asked[victim] - 1}):
            try:
                hurt = subject.attempt(context=subject.bench(refused=(victim, number)))
            # A component's code runs here and may raise anything.
            except Exception as error:
                fail(
                    f"one failed reply stopped the whole step: {type(error).__name__}: {error}",
                    fix="let the RowError that is raised at the yield pass; of context.answer, expect Failed",
                    cause=error,
                )
            self._isolated(
                first, hurt, victim, f"it swallows that a model did not answer (request {number + 1} of the row)"
            )

    def test_a_bad_row_fails_alone(self, subject: RowSubject) -> None:
        """One record raises RowError when it is read: that row ends as failed, and no other changes.

        Records as they are can be read. In a hook of its own that is not made for a RowError, it comes through, which
        is no fault: what the test is after is that nobody swallows it.
        """
        first = subject.trial
        victim = subject.ids[VICTIM]
        with poisoned(victim) as poison:
            try:
                hurt = subject.attempt()
            # A component's code runs here and may raise anything.
            except Exception as error:
                if is_poison(error):
                    return  # a hook of its own let it through, as it must: nothing can fail where it reads a record
                fail(
                    f"one bad row stopped the whole step: {type(error).__name__}: {error}",
                    fix="let RowError pass as it is, or answer Failed.of(error) for that row",
                    cause=error,
                )
        if not poison.taken:
            does_not_apply("it reads no content of records one by one")
        self._isolated(first, hurt, victim, "it swallows what a bad row raises")

    def _isolated(self, first: Trial, hurt: Trial, victim: str, otherwise: str) -> None:
        """Fail unless `victim` ended as failed and, where each row is judged by itself, no other changed."""
        said = hurt.answers.get(victim)
        if not _failed(said):
            fail(
                f"{otherwise}: the answer for it is {said!r}",
                why="a failed row must stand in the ledger, never become a default",
                fix="catch no exception that it does not handle, or raise RowError again",
            )
        if self.scope == "row":
            for key in first.answers:
                if key not in (victim, WHOLE):
                    changed = difference(first.answers[key], hurt.answers.get(key), self.numeric, key)
                    if changed is not None:
                        fail(f"one bad row changes what is said of another: {changed}", fix="handle each row alone")


def _otherwise(first: Trial, again: Trial) -> str | None:
    """Where two trials that should be the same first differ: in what was said, in digests, or in files."""
    return (
        difference(dict(first.answers), dict(again.answers))
        or difference(plain(first.outputs), plain(again.outputs))
        or difference(dict(first.files), dict(again.files))
    )


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
