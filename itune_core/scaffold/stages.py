"""What is said of each stage's template, in its metadata, its README and its docstrings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """One kind of distribution.

    Attributes:
        noun: what its component is called.
        summary: what the component of the template does, one sentence.
        libraries: what its code imports besides the core, as requirements; ``{bound}`` is the bound on the core.
        group: the stage that it is a component of, where that is called otherwise.
    """

    noun: str
    summary: str
    libraries: tuple[str, ...] = ()
    group: str | None = None


STAGES: Mapping[str, Stage] = {
    "formatters": Stage("formatter", "Rows with a question and an answer, as conversations."),
    "generators": Stage("generator", "Ask a model for a short answer to each prompt."),
    "filters": Stage("filter", "Drop conversations whose last answer is written in capitals."),
    "scorers": Stage("scorer", "Share of different words in an answer."),
    "mixers": Stage("mixer", "Draw one row of each data set in turn."),
    # The bounds are those of itune-torch, which loads the model.
    "trainers": Stage(
        "trainer",
        "Fine-tune all weights of a causal language model with AdamW.",
        ("itune-torch{bound}", "torch>=2.9,<3"),
    ),
    "objectives": Stage(
        "objective",
        "Preferences by least squares: a margin of one between the rewards of two answers.",
        ("itune-trainers{bound}",),
        group="trainers",
    ),
    "evaluators": Stage("evaluator", "Share of a model's answers that keep to a number of words."),
    "backends": Stage("backend", "Answers that somebody wrote down, in the place of a model's."),
    "executors": Stage("executor", "Per-row work on threads of one process."),
    "extensions": Stage("extension", "Count the steps of a run, for its report."),
}
"""What is asked for, mostly an entry-point group without ``itune.``, to what is generated for it."""
