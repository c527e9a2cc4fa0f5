"""The card of a trained model: a Markdown page with the front matter that the hub reads.

Everything in it is taken from the manifests of the run's artifacts. Where something is not known, it says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import yaml

from itune_core import __version__
from itune_core.engine.runs import RunRecord
from itune_core.engine.store import Store
from itune_core.report import health, lineage
from itune_core.report.artifacts import RunArtifacts
from itune_core.report.comparison import metrics_table, number, shown
from itune_core.report.docstrings import summary_and_source
from itune_core.report.markdown import inline, table

POINTS = 10
"""Steps of a training that are shown."""
SOURCES = 50
"""Sources of rows that are shown of a training; the smallest ones are counted together."""

COURSE = (
    "step",
    "loss",
    "learning_rate",
    "grad_norm",
    "rewards/margins",
    "rewards/accuracies",
    "logps/chosen",
    "logps/rejected",
)
"""What is shown of a training's history, where it has it."""

_HELD_OUT = re.compile(r"eval[/_](?!.*/before$)(.+)")
"""What trainers call a figure of held-out rows; TRL writes an underscore."""


@dataclass(frozen=True)
class Base:
    """The model that the first training began with.

    Attributes:
        name: a hub id, ``embedded:NAME``, the last name of a local folder; of a model that is no longer known, what the
            recipe called it.
        identity: what pins it; None if it is no longer known.
        licence: of its weights; None if it is not known.
    """

    name: str
    identity: str | None
    licence: str | None

    @property
    def hub(self) -> str | None:
        """Its id on the hub; None if it is not from there."""
        return self.name if self.identity and self.identity.startswith("hub:") else None


@dataclass(frozen=True)
class Exported:
    """What is in the folder beside the card.

    Attributes:
        form: ``adapter``, ``merged`` or ``full``.
        architecture: what the model computes.
        merge: what merging measured; None if nothing was merged.
        dtype: of merged weights.
        sits_on: the step whose whole weights an adapter sits on; None: it sits on the base model.
    """

    form: str
    architecture: str
    merge: Mapping[str, Any] | None = None
    dtype: str | None = None
    sits_on: str | None = None


def model_card(
    run: RunRecord, store: Store, step: str, base: Base, exported: Exported, components: Mapping[str, type]
) -> str:
    """The card of the model that `step` trained.

    Args:
        run: its record.
        store: holds its artifacts; what was removed is left out, and the card says so.
        step: name of a training.
        base: what the first training began with.
        exported: what the card stands beside.
        components: class of each training by step, for what its docstring says of it.
    """
    card = _Card(RunArtifacts(run, store), store, step, base, exported, components)
    lines = [
        *card.front_matter(),
        *card.head(),
        *card.trainings(),
        *card.data(),
        *card.evaluation(),
        *card.remarks(),
        *card.unverified(),
        *card.made_with(),
    ]
    return "\n".join(lines).rstrip() + "\n"


class _Card:
    """The sections of a card; each gives its lines."""

    def __init__(
        self,
        artifacts: RunArtifacts,
        store: Store,
        step: str,
        base: Base,
        exported: Exported,
        components: Mapping[str, type],
    ) -> None:
        self.artifacts, self.store, self.step, self.base = artifacts, store, step, base
        self.exported, self.components = exported, components
        self.run, self.steps = artifacts.run, artifacts.run.data["steps"]
        self.chain = lineage.trainings(self.steps, step)
        self.rows = lineage.ancestors(self.steps, self.chain)
        self.sources = {name: lineage.sources(artifacts, name) for name in self.chain}

    def front_matter(self) -> Iterator[str]:
        adapter = self.exported.form == "adapter"
        values: dict[str, Any] = {"library_name": "peft" if adapter else "transformers"}
        licence = self._licence()
        if licence:
            values["license"] = licence.lower()
        if self.base.hub and not self.exported.sits_on:
            values["base_model"] = self.base.hub
            values["base_model_relation"] = "adapter" if adapter else "finetune"
        if self.exported.architecture == "causal":
            values["pipeline_tag"] = "text-generation"
        names = [self.steps[name]["component"].partition("/")[2] for name in self.chain]
        values["tags"] = list(dict.fromkeys(["itune", *names]))
        yield from ("---", yaml.safe_dump(values, sort_keys=False, allow_unicode=False).rstrip(), "---", "")

    def _licence(self) -> str | None:
        """The one licence of everything that went in; None if there are several, or one is not known."""
        data = [licence for counted in self.sources.values() for _, licence in (counted or {(None, None): 0})]
        found = {licence and licence.lower() for licence in (*data, self.base.licence)}
        return self.base.licence if len(found) == 1 else None

    def head(self) -> Iterator[str]:
        form = {
            "adapter": "A low-rank adapter",
            "merged": f"Whole weights in {self.exported.dtype}, into which the adapter was merged",
            "full": "Whole weights",
        }[self.exported.form]
        yield from (
            f"# {inline(self.run.data['name'])}: {inline(self.step)}",
            "",
            f"{form}. Trained by itune, run {inline(self.run.name)}, step {inline(self.step)}.",
            "",
            "## Base model",
            "",
            f"- Model: {inline(self.base.name)}{self._kind_of_name()}",
            f"- Identity: {inline(self.base.identity or 'no longer known')}",
            f"- Licence: {inline(self.base.licence or 'unknown')}",
            "",
        )
        if self.exported.sits_on:
            yield from (
                f"The adapter sits on the weights that step {inline(self.exported.sits_on)} trained, not on the base "
                "model: export that step too, or merge.",
                "",
            )
        merge = self.exported.merge
        if merge:
            yield from (
                f"Of {merge['tokens']} tokens in {merge['rows']} rows, no logit of these weights differs by more than "
                f"{merge['difference']:.3g} from the adapter on its base in float32, whose largest logit is "
                f"{merge['largest']:.3g}; the adapter itself changes them by up to {merge['adapter']:.3g}.",
                "",
            )

    def _kind_of_name(self) -> str:
        if self.base.identity is None:
            return " (so the recipe called it; the recipe or the model has changed since)"
        return "" if self.base.hub or self.base.name.startswith("embedded:") else " (a local folder)"

    def trainings(self) -> Iterator[str]:
        yield from ("## Training", "")
        for place, name in enumerate(self.chain, 1):
            saved = self.steps[name]
            yield from (f"### {place}. {inline(name)}: {inline(saved['component'])}", "")
            yield from self._objective(name)
            artifact = self.artifacts.found.get(name)
            if artifact is None:
                yield from ("Its artifact is no longer in the store.", "")
                continue
            yield from self._settings(saved, artifact.manifest)
            yield from _held_out(artifact.manifest["metrics"])
            yield from _course(self.artifacts.history(name))

    def _objective(self, name: str) -> Iterator[str]:
        said = summary_and_source(self.components[name]) if name in self.components else None
        if said is None:
            yield from ("What it optimises is not known here: the recipe has changed since.", "")
            return
        summary, source = said
        yield from (summary, "")
        if source:
            yield from (f"Source: {source}", "")

    def _settings(self, saved: Mapping[str, Any], manifest: Mapping[str, Any]) -> Iterator[str]:
        metrics = manifest["metrics"]
        facts = [f"{number(metrics[key])} {word}" for key, word in _COUNTS if key in metrics]
        if facts:
            yield from (f"Learned from {', '.join(facts)}.", "")
        models = {identity: name for name, identity in saved["identities"].items()}
        config = manifest["parts"]["config"]
        settings = [[inline(key), inline(_setting(value, models))] for key, value in config.items()]
        yield from (*table(["setting", "value"], [*settings, ["seed", str(manifest["parts"]["seed"])]]), "")

    def data(self) -> Iterator[str]:
        yield from ("## Data", "", "What the trainings were given, by the source and licence that the rows name.", "")
        rows: list[list[str]] = []
        gone: list[str] = []
        for name, counted in self.sources.items():
            if counted is None:
                gone.append(name)
                continue
            most = counted.most_common(SOURCES)
            rows += [[inline(name), *_named(pair), f"{count:,}"] for pair, count in most]
            if len(counted) > len(most):
                rest = sum(counted.values()) - sum(count for _, count in most)
                rows.append([inline(name), f"{len(counted) - len(most):,} smaller ones", "various", f"{rest:,}"])
        if rows:
            yield from (*table(["training", "source", "licence", "rows"], rows, right=["rows"]), "")
        for name in gone:
            yield from (f"The rows of {inline(name)} are no longer in the store.", "")
        made = [
            [inline(name), inline(step["component"]), inline(", ".join(step["models"]) or "–"), *_books(step["counts"])]
            for name in self.rows
            if (step := self.steps[name])["stage"] != "trainers"
        ]
        counts = ["in", "dropped", "failed", "created"]
        yield from ("How they were made:", "", *table(["step", "component", "models", *counts], made, right=counts), "")

    def evaluation(self) -> Iterator[str]:
        yield from ("## Evaluation", "")
        measured = metrics_table(self.run, self.store)
        models = [name for name in measured.models if name in (*self.chain, lineage.base_of(self.steps, self.chain[0]))]
        rows = [
            [inline(measure.step), inline(measure.name), *(inline(shown(measure.figures.get(name))) for name in models)]
            for measure in measured.measures
            if self.step in measure.figures
        ]
        if not rows:
            yield from ("No step of the run evaluated this model.", "")
            return
        if self.exported.form == "merged":
            yield from ("Measured with the adapter on its base, before it was merged.", "")
        headers = ["step", "figure", *map(inline, models)]
        yield from (*table(headers, rows, right=headers[2:]), "")

    def remarks(self) -> Iterator[str]:
        manifests = {
            name: self.artifacts.found[name].manifest
            for name in self.steps
            if name in self.artifacts.found and (name in (*self.rows, *self.chain) or self._evaluates(name))
        }
        found = [
            remark
            for name, manifest in manifests.items()
            for remark in health.remarks(name, manifest, self.artifacts.history(name), self.artifacts.sources(name))
        ]
        found += health.environments(manifests)
        yield from ("## Remarks", "", "What itune's health checks found in the figures of these steps.", "")
        yield from [f"- {inline(remark.step)}: {inline(remark.text)}" for remark in found] or ["- Nothing."]
        yield ""

    def _evaluates(self, name: str) -> bool:
        return self.steps[name]["stage"] == "evaluators" and self.step in self.steps[name]["models"]

    def unverified(self) -> Iterator[str]:
        unknown = sum(
            count for counted in self.sources.values() if counted for (_, licence), count in counted.items()
            if licence is None
        )  # fmt: skip
        yield from (
            "## Not verified",
            "",
            "- Licences are those that the rows and the base model name. Whether they are right, agree with each other "
            "and allow what is done with this model, nobody has checked.",
        )
        if unknown:
            yield f"- The licence of {unknown:,} of the rows counted above is unknown."
        if self.base.licence is None:
            yield "- The licence of the base model is unknown here; this model is also under its terms."
        yield "- Rows were searched for personal data, or for those of public tests, only where a step above says so."
        artifact = self.artifacts.found.get(self.step)
        if artifact is not None and not artifact.manifest["metrics"].keys() & {"eval/loss", "eval_loss"}:
            yield "- No loss was measured on held-out rows while it was trained."
        yield "- What it does beyond the figures above (safety, truthfulness, other languages) was not measured."
        yield ""

    def made_with(self) -> Iterator[str]:
        plugins = {
            found["distribution"]: [
                inline(found["distribution"]),
                inline(found["version"] + (" (a checkout)" if found["editable"] else "")),
                inline(found["digest"] or "–"),
            ]
            for found in self.run.data["plugins"].values()
        }
        yield from (
            "## Made with",
            "",
            *table(["plugin", "version", "digest"], [found for _, found in sorted(plugins.items())]),
            "",
        )
        artifact = self.artifacts.found.get(self.step)
        if artifact is not None:
            there = artifact.manifest["environment"]
            versions = [f"{name} {version}" for name, version in there["versions"].items()]
            yield from (inline(f"Python {there['python']}, {', '.join(versions)}") + ".", "")
        yield f"Card written by itune {__version__}."


_COUNTS = (
    ("records", "records"),
    ("supervised_tokens", "supervised tokens"),
    ("tokens", "tokens in all"),
    ("steps", "optimiser steps"),
)


def _held_out(metrics: Mapping[str, Any]) -> Iterator[str]:
    """What was measured on the rows of the input ``eval``: counts are whole numbers, and left out."""
    found = {name: match[1] for name in metrics if (match := _HELD_OUT.fullmatch(name))}
    figures = {name: word for name, word in found.items() if isinstance(metrics[name], float)}
    if not figures:
        return
    rows = [
        [inline(word), number(metrics[f"{name}/before"]) if f"{name}/before" in metrics else "–", number(metrics[name])]
        for name, word in figures.items()
    ]
    held_out = f"{metrics['eval/records']:,} held-out rows" if "eval/records" in metrics else "held-out rows"
    best = f"; their loss was lowest after step {metrics['best_step']:,}" if "best_step" in metrics else ""
    yield from (f"On {held_out}{best}:", "", *table(["figure", "before", "after"], rows, right=["before", "after"]), "")


def _course(history: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The history at :data:`POINTS` steps, the first and the last among them."""
    history = [entry for entry in history if "loss" in entry]  # some trainers log evaluations as entries of their own
    if not history:
        return
    last = len(history) - 1
    places = sorted({round(point * last / (POINTS - 1)) for point in range(POINTS)})
    names = [name for name in COURSE if any(name in entry for entry in history)]
    rows = [[number(history[place][name]) if name in history[place] else "–" for name in names] for place in places]
    yield from (*table(names, rows, right=names), "")


def _setting(value: Any, models: Mapping[str, str]) -> str:
    """A setting as JSON; a model by its name in the recipe, and of a path of this machine only that it is one."""

    def plain(inner: Any) -> Any:
        if isinstance(inner, Mapping):
            return {key: plain(item) for key, item in inner.items()}
        if isinstance(inner, (list, tuple)):
            return [plain(item) for item in inner]
        if isinstance(inner, str):
            local = PurePosixPath(inner).is_absolute() or PureWindowsPath(inner).is_absolute() or inner.startswith("~")
            return "(a local path)" if local else models.get(inner, inner)
        return inner

    found = plain(value)
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)


def _books(counts: Mapping[str, Any]) -> list[str]:
    dropped, failed = (sum(counts[outcome].values()) for outcome in ("dropped", "failed"))
    return [f"{count:,}" for count in (counts["inputs"], dropped, failed, counts["created"])]


def _named(pair: tuple[str | None, str | None]) -> list[str]:
    return [inline(text) if text else "unknown" for text in pair]
