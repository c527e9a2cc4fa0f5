"""The base class of every trainer here: an algorithm with the whole of a training step around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from itune_core.api import Check, Context, Facts, Inputs, ModelSource, TrainedModel, Trainer
from itune_trainers.algorithm import Algorithm
from itune_trainers.settings import Settings, settle


class Objective(Algorithm, Trainer):
    """A trainer that is told by its loss. Methods to write: :meth:`example` and :meth:`loss`.

    The rest is the same for all: encoding with an account of every record, padding-free batches, adapters, schedule,
    checkpoints, reference log-probabilities. A new algorithm is one pure function in a module of its own and a subclass
    published in the entry-point group ``itune.trainers``::

        class Longer(Objective):
            \"\"\"Likelihood per token, long answers first. Source: our notes.\"\"\"

            class Config(Settings):
                learning_rate: float = Field(1e-4, gt=0, description="Peak learning rate.")

            def example(self, record, encoder):
                return Example(record["id"], (encoder.conversation(record),))

            def loss(self, logps):
                return -logps.policy / logps.tokens

            def weight(self, example):
                return float(example.supervised) ** 2

    One that compares two answers derives from :class:`~itune_trainers.PairObjective`, and is shorter.
    """

    class Config(Settings):
        """No settings but those of every trainer."""

    def settle(self, facts: Facts) -> Any:
        return settle(self.config, facts)

    def preview(self, inputs: Inputs, context: Context) -> Iterator[tuple[str, list[tuple[str, bool]]]]:
        """Each training row's tokens, and which of them the loss is over."""
        from itune_trainers.preview import preview

        return preview(self, inputs, context)

    def train(self, inputs: Inputs, context: Context) -> TrainedModel:
        from itune_trainers.train import train

        return train(self, inputs, context)

    def merge(self, source: ModelSource, folder: Path, dtype: Literal["float32", "bfloat16"]) -> Mapping[str, Any]:
        from itune_trainers.model.merging import merge

        return merge(self.architecture, source, folder, dtype)

    def selftest(self, context: Context) -> Iterator[Check]:
        from itune_trainers.selftest.checks import selftest

        return selftest(self, context)
