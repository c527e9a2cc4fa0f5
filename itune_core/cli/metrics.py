"""The table that a run ends with: what was measured, model beside model."""

from __future__ import annotations

from itune_core.cli.terminal import print_table
from itune_core.engine.runs import RunRecord
from itune_core.engine.store import Store


def print_metrics(run: RunRecord, store: Store, step: str | None = None) -> None:
    """Print the figures of a run's evaluators, or of one of them: a row a figure, a column a model."""
    from itune_core.report.comparison import metrics_table, shown

    table = metrics_table(run, store)
    measures = [measure for measure in table.measures if step in (None, measure.step)]
    if not measures:
        return
    models = [name for name in table.models if any(name in measure.figures for measure in measures)]
    headers = [name or "no model" for name in models]
    print_table(
        ["step", "figure", *headers],
        [
            [measure.step, measure.name, *(shown(measure.figures.get(model)) for model in models)]
            for measure in measures
        ],
        right=headers,
    )
