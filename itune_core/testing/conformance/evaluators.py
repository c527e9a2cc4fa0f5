"""Conformance of evaluators."""

from __future__ import annotations

from itune_core.testing.conformance.rows import RowsConformance
from itune_core.testing.trial import WHOLE
from itune_core.testing.tried import RowSubject
from itune_core.testing.verdict import fail


class EvaluatorConformance(RowsConformance):
    """Tests of an evaluator: finite figures for each model, and the table they come from.

    Every model that `config` names is the two-layer model: ``config = {"models": ["tiny"]}``.
    """

    stage = "evaluators"

    def test_it_measures_something(self, subject: RowSubject) -> None:
        """At least one figure, for each model it was told to measure."""
        metrics = subject.trial.answers[WHOLE]
        wanted = getattr(subject.configure(), "models", [""])
        bare = [model for model in wanted if not metrics.get(model)]
        if bare:
            fail(
                f"no figure for {', '.join(map(repr, bare))}; failures: {_failures(subject)}",
                fix="give `rows` that it can measure, or a `reply` that answers as a model would",
            )


def _failures(subject: RowSubject) -> str:
    found = {
        answer["message"]
        for said in subject.trial.answers.values()
        for answer in (said if isinstance(said, list) else ())
        if answer.get("outcome") == "Failed"
    }
    return "; ".join(sorted(found)[:2]) or "none"
