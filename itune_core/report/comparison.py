"""What the evaluators of a run measured, model by model: the table of before and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from itune_core.engine.runs import RunRecord
from itune_core.engine.store import Store


class Figure(NamedTuple):
    """One number, and its interval where the evaluator gave one."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Measure:
    """One row of the table: a figure of one evaluator.

    Attributes:
        step: the evaluator's step.
        name: the figure, as the evaluator calls it.
        figures: by model; a model that the evaluator was not asked about is missing. The empty name stands for a figure
            of no model.
        count: whether it only counts something (a whole number) and so says nothing of quality.
    """

    step: str
    name: str
    figures: Mapping[str, Figure]
    count: bool


@dataclass(frozen=True)
class MetricsTable:
    """Figures by model.

    Attributes:
        models: names in the order in which they came to be: base models, then training steps. A training step's model
            is called after the step.
        measures: in the order of the run's steps; counts last within a step.
    """

    models: tuple[str, ...]
    measures: tuple[Measure, ...]


def metrics_table(run: RunRecord, store: Store) -> MetricsTable:
    """The table of a run. Evaluators whose artifact was removed from the store are left out.

    Figures called ``x_low`` and ``x_high`` beside an ``x`` are its interval and get no row of their own.
    """
    measures: list[Measure] = []
    named: dict[str, None] = {}
    for name, step in run.data["steps"].items():
        artifact = store.get(step["key"]) if step["stage"] == "evaluators" else None
        if artifact is None:
            continue
        by_model = _by_model(step["identities"], artifact.manifest["metrics"])
        named |= dict.fromkeys(by_model)
        measures += _measures(name, by_model)
    steps = list(run.data["steps"])
    order = sorted(named, key=lambda model: steps.index(model) + 1 if model in steps else 0)
    return MetricsTable(tuple(order), tuple(measures))


def _by_model(identities: Mapping[str, str], metrics: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Metrics are kept by model identity, so that renaming a model measures nothing again; here they get names."""
    named = {name: metrics[identity] for name, identity in identities.items() if identity in metrics}
    return named | ({"": metrics[""]} if "" in metrics else {})


def _measures(step: str, by_model: Mapping[str, Mapping[str, Any]]) -> list[Measure]:
    names = dict.fromkeys(name for figures in by_model.values() for name in figures)
    found = []
    for name in names:
        whole, _, end = name.rpartition("_")
        if end in ("low", "high") and whole in names:
            continue
        figures = {
            model: Figure(values[name], values.get(f"{name}_low"), values.get(f"{name}_high"))
            for model, values in by_model.items()
            if name in values
        }
        count = all(isinstance(figure.value, int) for figure in figures.values())
        found.append(Measure(step, name, figures, count))
    return sorted(found, key=lambda measure: measure.count)


def shown(figure: Figure | None) -> str:
    """A figure for people: whole numbers with thousands apart, others to four significant digits."""
    if figure is None:
        return "–"
    text = number(figure.value)
    if figure.low is not None and figure.high is not None:
        text += f" ({number(figure.low)}–{number(figure.high)})"
    return text


def number(value: float) -> str:
    """A number for people."""
    if isinstance(value, int):
        return f"{value:,}"
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        digits = max(0, 4 - len(str(int(abs(value))))) if abs(value) >= 1 else 4
        return f"{value:,.{digits}f}"
    return f"{value:.3g}"
