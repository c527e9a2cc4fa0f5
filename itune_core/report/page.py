"""The page of a run: gathers what is shown and hands it to the template, which escapes everything it is handed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from itune_core import __version__
from itune_core.engine import ledger
from itune_core.engine.presence import state
from itune_core.engine.runs import RunRecord
from itune_core.engine.store import Artifact, Store
from itune_core.report import health
from itune_core.report.artifacts import RunArtifacts
from itune_core.report.chain import draw
from itune_core.report.charts import Curve, Histogram, curves, histogram
from itune_core.report.comparison import metrics_table, number, shown
from itune_core.report.escapes import safe, safe_json
from itune_core.report.mixture import Mixture, mixtures, percent
from itune_core.report.notes import read_notes
from itune_core.report.rows import LaidOut, lay_out, lay_out_flat

ROWS = 3
"""Rows shown of each output, and records of each evaluator."""

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Sample:
    """First rows of an output."""

    output: str
    total: int
    rows: Sequence[LaidOut]


@dataclass(frozen=True)
class Answers:
    """One record of an evaluation, and what each model made of it."""

    record: LaidOut
    models: Sequence[tuple[str, LaidOut]]


@dataclass(frozen=True)
class Section:
    """What the page says of one step.

    Attributes:
        saved: the step in the run's record.
        manifest: of its artifact; None if that was removed.
        anchor: name of its place in the page.
        reasons: (outcome, reason, count), most frequent first.
    """

    saved: Mapping[str, Any]
    manifest: Mapping[str, Any] | None
    anchor: str
    reasons: Sequence[tuple[str, str, int]]
    samples: Sequence[Sample] = ()
    histograms: Sequence[Histogram] = ()
    curves: Sequence[Curve] = ()
    figures: Sequence[tuple[str, str]] = ()
    answers: Sequence[Answers] = ()
    mixtures: Sequence[Mixture] = ()


def render(run: RunRecord, store: Store) -> str:
    """The page of a run, as HTML text."""
    artifacts = RunArtifacts(run, store)
    manifests = {name: artifact.manifest for name, artifact in artifacts.found.items()}
    sections = [_section(artifacts, name, f"step-{place}") for place, name in enumerate(run.data["steps"])]
    remarks = [
        remark
        for name, manifest in manifests.items()
        for remark in health.remarks(name, manifest, artifacts.history(name), artifacts.sources(name))
    ]
    return (
        _environment()
        .get_template("report.html")
        .render(
            run=run,
            data=run.data,
            state=state(run),
            took=_took(run),
            version=__version__,
            picture=draw(run.data["steps"]),
            table=metrics_table(run, store),
            remarks=remarks + health.environments(manifests),
            sections=sections,
            anchors={section.saved["name"]: section.anchor for section in sections},
            failed=_failed(run),
            notes=read_notes(run.folder),
            recipe=(run.folder / "recipe.yaml").read_text("utf-8"),
        )
    )


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        # everything that is printed passes here, so no text can be forgotten
        finalize=lambda value: safe(value) if isinstance(value, str) else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, percent=percent, shown=shown, json=safe_json)
    environment.filters.update(clock=_clock, seconds=_seconds)
    return environment


def _section(artifacts: RunArtifacts, step: str, anchor: str) -> Section:
    saved = artifacts.run.data["steps"][step]
    artifact = artifacts.found.get(step)
    reasons = [
        (outcome, reason, count)
        for outcome in ("failed", "dropped", "rejected")
        for reason, count in Counter(saved["counts"].get(outcome, {})).most_common()
    ]
    if artifact is None:
        return Section(saved, None, anchor, reasons)
    shape = Section(saved, artifact.manifest, anchor, reasons)
    if saved["stage"] == "mixers":  # known even where the rows that were mixed are gone
        shape = _with(shape, mixtures=mixtures(artifacts.sources(step), artifact.manifest["mix"]))
    if artifacts.readable(step):
        return _of_data(artifacts, step, shape)
    if saved["stage"] == "trainers":
        return _of_training(artifacts, step, artifact, shape)
    if saved["stage"] == "evaluators":
        return _of_evaluation(artifacts, step, shape)
    return shape


def _of_data(artifacts: RunArtifacts, step: str, shape: Section) -> Section:
    outputs = shape.saved["outputs"]
    samples = [
        Sample(name, output["rows"], [lay_out(row) for row in artifacts.rows(step, name, ROWS)])
        for name, output in outputs.items()
    ]
    charts: list[Histogram] = []
    if shape.saved["stage"] == "scorers":
        columns = artifacts.view(step, next(iter(outputs))).columns
        mine = {name: columns[name] for name in columns if name.split(".")[1:2] == [shape.saved["step"]]}
        found = [histogram(name, column.to_pylist()) for name, column in mine.items()]
        charts = [chart for chart in found if chart is not None]
    return _with(shape, samples=samples, histograms=charts)


def _of_training(artifacts: RunArtifacts, step: str, artifact: Artifact, shape: Section) -> Section:
    metrics = artifact.manifest["metrics"].items()
    figures = [(name, _figure(value)) for name, value in metrics if not isinstance(value, (dict, list))]
    return _with(shape, curves=curves(artifacts.history(step)), figures=figures)


def _figure(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if isinstance(value, (int, float)) else str(value)


def _of_evaluation(artifacts: RunArtifacts, step: str, shape: Section) -> Section:
    """The first records with every model's result; what was asked is read from the step before, if it is there."""
    by_record: dict[str, list[tuple[str, LaidOut]]] = {}
    for result in artifacts.results(step):
        if result["id"] in by_record or len(by_record) < ROWS:
            values = {name: value for name, value in result.items() if name not in ("id", "model")}
            by_record.setdefault(result["id"], []).append((result["model"], lay_out_flat(values)))
    asked = artifacts.inputs(step, by_record)
    answers = [
        Answers(lay_out(asked.get(item, {"id": item})), sorted(models, key=lambda pair: _order(shape, pair[0])))
        for item, models in by_record.items()
    ]
    return _with(shape, answers=answers)


def _order(shape: Section, model: str) -> int:
    models = list(shape.saved["models"])
    return models.index(model) if model in models else len(models)


def _with(shape: Section, **more: Any) -> Section:
    return Section(**{**vars(shape), **more})


def _failed(run: RunRecord) -> list[tuple[str, list[tuple[str, str, int]], list[Mapping[str, Any]]]]:
    """Steps that failed: name, reasons counted, first lines of the ledger."""
    found = []
    for folder in sorted((run.folder / "failed").glob("*")):
        lines = list(ledger.read(folder))
        counted = Counter((line["outcome"], line["reason"]) for line in lines).most_common()
        reasons = [(outcome, reason, count) for (outcome, reason), count in counted]
        found.append((folder.name, reasons, lines[:10]))
    return found


def _took(run: RunRecord) -> float | None:
    if not run.data.get("ended"):
        return None
    return (datetime.fromisoformat(run.data["ended"]) - datetime.fromisoformat(run.data["started"])).total_seconds()


def _clock(stamp: str) -> str:
    return f"{datetime.fromisoformat(stamp):%Y-%m-%d %H:%M:%S} UTC"


def _seconds(value: float) -> str:
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s"
