"""Conformance of mixers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from itune_core.api.components import ALL_KINDS, Input
from itune_core.api.errors import ItuneError
from itune_core.api.records import Kind
from itune_core.engine.errors import RunError
from itune_core.testing.conformance.component import for_its_author
from itune_core.testing.conformance.rows import RowsConformance
from itune_core.testing.tried import PARTS, RowSubject
from itune_core.testing.verdict import does_not_apply, fail

if TYPE_CHECKING:
    from itune_core.engine.views import View


class MixerSubject(RowSubject):
    """A mixer. Unless it mixes kinds, all that it draws from is of one kind."""

    @property
    def first_input(self) -> Input:
        """The first input that it draws from, with the kinds that may be drawn from all of them."""
        drawn = [self.loaded.inputs[name] for name in self.loaded.drawn_from()]
        common = tuple(kind for kind in drawn[0].kinds if all(kind in spec.kinds for spec in drawn))
        return Input(drawn[0].kinds if self.loaded.mixes_kinds or not common else common, many=True)


class MixerConformance(RowsConformance):
    """Tests of a mixer: draws of rows that exist, shares that sum to 1.

    The rows are handed to it as three data sets, through each required input. What is drawn depends on all of them and
    on their order; a mixer that draws the same numbers whatever stands in the rows may declare ``order = "free"``.
    """

    stage = "mixers"
    order = "defined"
    scope = "whole"

    subject_type = MixerSubject

    def test_its_inputs_can_be_mixed(self, subject: RowSubject) -> None:
        """Some kind of record is taken by all inputs that it draws from, or it says that it mixes kinds."""
        drawn = {name: subject.loaded.inputs[name].kinds for name in subject.loaded.drawn_from()}
        if not subject.loaded.mixes_kinds and not any(all(kind in kinds for kinds in drawn.values()) for kind in Kind):
            fail(
                f"no kind of record is taken by all that it draws from: {drawn}",
                why="a recipe that uses it would always be refused",
                fix="set mixes_kinds = True, or take a kind in common",
            )

    def test_one_source_will_do(self, subject: RowSubject) -> None:
        """One data set through each input that it draws from; it may also refuse with an error that says what to do."""
        assert subject.trial
        one = {name: views[:1] for name, views in _parts(subject).items()}
        _try(subject, one, "with one data set an input")

    def test_an_empty_source_is_no_mishap(self, subject: RowSubject) -> None:
        """One of its data sets has no rows; then each of them, in turn."""
        assert subject.trial
        parts = _parts(subject)
        for name in subject.loaded.drawn_from():
            for place, whole in enumerate(parts.get(name, ())):
                views = [*parts[name][:place], _empty(whole), *parts[name][place + 1 :]]
                _try(subject, {**parts, name: views}, f"with no rows in data set {place} of {name!r}")

    def test_optional_inputs_may_be_given(self, subject: RowSubject) -> None:
        """Each input that is not required, in addition to the others, and all of them."""
        assert subject.trial
        optional = [name for name, spec in subject.loaded.inputs.items() if not spec.required]
        if not optional:
            does_not_apply("all its inputs are required")
        given = {}
        for name in optional:
            spec = subject.loaded.inputs[name]
            view = subject.view(subject.kind if subject.kind in spec.kinds else spec.kinds[0])
            given[name] = [view] * (PARTS if spec.many else 1)
            _try(subject, {**_parts(subject), name: given[name]}, f"with the input {name!r}")
        _try(subject, {**_parts(subject), **given}, "with all its inputs")

    def test_a_failed_reply_fails_its_row(self, subject: RowSubject) -> None:
        """A model does not answer one request: a mixer has no row to fail, so it stops with an error that says so.

        Once for the first thing it asks about, once for the last.
        """
        assert subject.trial
        asked = subject.bench_of_first.asked
        if not asked:
            does_not_apply("it asks no model")
        for refused in sorted({(key, asked[key] - 1) for key in (next(iter(asked)), next(reversed(asked)))}):
            try:
                subject.attempt(context=subject.bench(refused=refused))
            except RunError as error:
                fail(
                    f"without a reply about {refused[0]!r}: {error.what}", fix="raise DataError with a fix", cause=error
                )
            except ItuneError:
                continue
            # A component's code runs here and may raise anything.
            except Exception as error:
                fail(
                    f"a failed reply about {refused[0]!r} became {type(error).__name__}: {error}",
                    why="who runs it is to read what to do, not a traceback",
                    fix="of context.answer and context.converse, expect Failed; raise DataError (itune_core.api) "
                    "with a fix",
                    cause=error,
                )
            fail(
                f"it draws although a model did not answer about {refused[0]!r}",
                why="what is not known would stand as a default in what is trained on",
                fix="of context.answer and context.converse, expect Failed; raise DataError (itune_core.api) with a "
                "fix",
            )

    def test_it_mixes_the_kinds_it_takes(self, subject: RowSubject) -> None:
        """With ``mixes_kinds``: data sets of different kinds, as many as an input takes."""
        assert subject.trial
        if not subject.loaded.mixes_kinds:
            does_not_apply("it does not say that it mixes kinds")
        views = _parts(subject)
        for name in subject.loaded.drawn_from():
            kinds = subject.loaded.inputs[name].kinds
            if name in views:
                views[name] = [subject.view(kind) for kind in kinds[: PARTS if kinds == ALL_KINDS else None]]
        _try(subject, views, "with data sets of different kinds")


def _parts(subject: RowSubject) -> dict[str, list[View]]:
    """What it is tried on: each input that it draws from in several data sets."""
    return subject.inputs(None, subject.kind)


def _empty(view: View) -> View:
    import numpy as np

    return view.select(np.arange(0))


def _try(subject: RowSubject, views: Mapping[str, list[View]], when: str) -> None:
    """Try it on these data sets; an error of itune's family is as good as a result, unless it breaks the contract."""
    try:
        unbalanced = subject.execute(views, {}, None).unbalanced
    except RunError as error:
        fail(f"{when}: {error.what}", why=error.why or "", fix=for_its_author(error), cause=error)
    except ItuneError:
        return
    # A component's code runs here and may raise anything.
    except Exception as error:
        fail(
            f"{when} it raised {type(error).__name__}: {error}",
            fix="draw from what there is, or raise DataError (itune_core.api) with a fix",
            cause=error,
        )
    if unbalanced is not None:
        fail(f"{when}: {unbalanced.what}", why=unbalanced.why or "", fix="name only rows of data sets it is given")
