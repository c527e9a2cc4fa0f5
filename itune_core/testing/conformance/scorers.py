"""Conformance of scorers."""

from __future__ import annotations

from itune_core.testing.conformance.rows import RowsConformance
from itune_core.testing.tried import RowSubject
from itune_core.testing.verdict import fail


class ScorerConformance(RowsConformance):
    """Tests of a scorer: a value for every declared column, a row; or a failure."""

    stage = "scorers"

    def test_it_scores_something(self, subject: RowSubject) -> None:
        """Of the sample rows at least one gets a score."""
        if all(answer.get("outcome") == "Failed" for answer in subject.trial.answers.values()):
            first = next(iter(subject.trial.answers.values()))
            fail(
                f"every row failed; the first: {first['code']}: {first['message']}",
                fix="give `rows` that it can score, or a `reply` that answers as its model would",
            )
