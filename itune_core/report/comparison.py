"""What the evaluators of a run measured, model by model: the table of before and after."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from itune_core.engine.runs import RunRecord
from itune_core.engine.store import Store


class Figure(NamedTuple):
    """One number, with its interval or its standard error where the evaluator gave one."""

    value: float
    low: float | None = None
    high: float | None = None
    error: float | None = None

    @property
    def doubt(self) -> str:
        """The interval or the error, for people: ``0.713–0.926``, ``±0.0383``; empty if there is none."""
        if self.low is not None and self.high is not None:
            return f"{self.low:.3g}–{self.high:.3g}"
        return f"±{self.error:.3g}" if self.error is not None else ""


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

    Some figures get no row of their own: ``x_low`` and ``x_high`` beside an ``x`` are its interval, and ``x_se`` beside
    an ``x`` or ``x_mean`` is its standard error.
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
        if _belongs(name, names):
            continue
        figures = {model: _figure(name, values) for model, values in by_model.items() if name in values}
        count = all(isinstance(figure.value, int) for figure in figures.values())
        found.append(Measure(step, name, figures, count))
    return sorted(found, key=lambda measure: measure.count)


def _belongs(name: str, names: Collection[str]) -> bool:
    """Whether a figure only says how sure another one is."""
    whole, _, end = name.rpartition("_")
    return (end in ("low", "high", "se") and whole in names) or (end == "se" and f"{whole}_mean" in names)


def _figure(name: str, values: Mapping[str, Any]) -> Figure:
    error = values.get(f"{name}_se", values.get(f"{name.removesuffix('_mean')}_se"))
    return Figure(values[name], values.get(f"{name}_low"), values.get(f"{name}_high"), error)


def shown(figure: Figure | None) -> str:
    """A figure for people: ``1.915 (±0.0883)``; a dash if there is none."""
    if figure is None:
        return "–"
    return f"{number(figure.value)} ({figure.doubt})" if figure.doubt else number(figure.value)


def number(value: float) -> str:
    """A number for people: whole ones with thousands apart, others to four significant digits."""
    if isinstance(value, int) or value == 0:
        return f"{value:,.0f}"
    if 1e-3 <= abs(value) < 1e5:
        digits = max(0, 4 - len(str(int(abs(value))))) if abs(value) >= 1 else 4
        return f"{value:,.{digits}f}"
    return f"{value:.3g}"
