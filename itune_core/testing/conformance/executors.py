"""Conformance of executors."""

from __future__ import annotations

from typing import Any

from itune_core.api.errors import RowError
from itune_core.api.outcomes import Failed
from itune_core.api.records import Kind
from itune_core.api.resources import Executor
from itune_core.engine.local import map_local
from itune_core.testing.comparing import difference, plain
from itune_core.testing.conformance.component import Conformance
from itune_core.testing.sample_records import samples
from itune_core.testing.subject import Subject
from itune_core.testing.verdict import fail

BAD = 5


def words(item: Any) -> int:
    """How many words a record holds; the item :data:`BAD` is bad. What the executor is given to do."""
    if item == BAD:
        raise RowError("five is a bad row")
    return len(str(sorted(item.items())).split()) if hasattr(item, "items") else int(item)


class ExecutorConformance(Conformance):
    """Tests of an executor: what ``local`` gives, in the same order, however many items there are."""

    stage = "executors"

    def test_it_gives_what_local_gives(self, subject: Subject) -> None:
        """Results in the order of the items, for none, one, a few and many."""
        for items in ([], [1], samples(Kind.CONVERSATION), [number for number in range(1000) if number != BAD]):
            wanted = list(map_local(words, iter(items), 1))
            changed = difference(wanted, list(_executor(subject).map(words, iter(items))))
            if changed is not None:
                fail(
                    f"for {len(items)} items the results are not those of the local executor: {changed}",
                    fix="give one result an item, in the order of the items",
                )

    def test_a_bad_row_fails_alone(self, subject: Subject) -> None:
        """A RowError becomes Failed in its place."""
        items = list(range(2 * BAD))
        try:
            results = list(_executor(subject).map(words, items))
        except RowError as error:
            fail("one bad row stopped all", fix="catch RowError and give Failed.of(error) in its place", cause=error)
        if plain(results) != plain(list(map_local(words, items, 1))) or not isinstance(results[BAD], Failed):
            fail(f"the result of a bad row is {results[BAD]!r}", fix="give Failed.of(error) in its place")

    def test_other_errors_are_not_swallowed(self, subject: Subject) -> None:
        """What is no RowError is an error of the code, and stops the step."""
        try:
            results = list(_executor(subject).map(words, ["no number"]))
        except ValueError:
            return
        # Whatever the executor made of it.
        except Exception as error:
            fail(
                f"an error of the code came back as {type(error).__name__}: {error}",
                fix="let it through as it is: the engine tells the user which component raised it",
                cause=error,
            )
        fail(f"an error of the code was swallowed; the result is {results!r}", fix="catch RowError only")


def _executor(subject: Subject) -> Executor:
    component = subject.make()
    assert isinstance(component, Executor)
    return component
