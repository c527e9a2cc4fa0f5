"""Conformance of generators."""

from __future__ import annotations

from itune_core.testing.conformance.rows import RowsConformance
from itune_core.testing.tried import RowSubject
from itune_core.testing.verdict import fail


class GeneratorConformance(RowsConformance):
    """Tests of a generator: records of the declared kind that name their parents; an answer for every row."""

    stage = "generators"

    def test_it_makes_something(self, subject: RowSubject) -> None:
        """Of the sample rows at least one record is made."""
        answers = [answer for said in subject.trial.answers.values() for answer in said]
        if not any("created" in answer for answer in answers):
            fail(
                f"it made no record; the first row: {answers[0]}",
                fix="give `rows` it can work on, or a method reply(self, request) that answers as its model would",
            )

    def test_parents_are_rows_it_was_given(self, subject: RowSubject) -> None:
        """A created record names the records it was made from."""
        known = set(subject.ids)
        for key, said in subject.trial.answers.items():
            named = [parent for answer in said for parent in answer.get("parents", ())]
            strangers = {parent for parent in named if isinstance(parent, str)} - known  # the rest are made before it
            if strangers:
                fail(
                    f"a record made from {key} names parents that are no input: {sorted(strangers)[:3]}",
                    fix="Created(record, parents=[...]) takes ids of input records; left empty, it is the row itself",
                )
