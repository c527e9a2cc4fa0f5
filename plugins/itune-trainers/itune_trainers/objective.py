"""The base class of every algorithm here: what it learns from, and its loss as a function of log-probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from itune_core.api import Context as Engine
from itune_core.api import Facts, Inputs, Record, TrainedModel, Trainer
from itune_trainers.examples import Encoder, Example
from itune_trainers.settings import Settings, settle

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Logps:
    """What a loss is computed from: the rows of some examples, example after example.

    Attributes:
        policy: (R,) float32, sum of the log-probabilities of each row's supervised tokens under the model in training.
        reference: (R,) float32, the same under the model as it was at the start; None if the objective needs none.
        tokens: (R,) int64, how many supervised tokens that is.
        labels: (E,) float32, each example's label.
        rows: (E,) int64, how many rows each example has; they sum to R.
        scores: (R,) float32, what the record says of each row; zeros where it says nothing.
    """

    policy: Tensor
    reference: Tensor | None
    tokens: Tensor
    labels: Tensor
    rows: Tensor
    scores: Tensor


class Objective(Trainer):
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

    Attributes:
        needs_reference: whether `Logps.reference` is to be computed. Dropout is off then, so that the model and its
            reference are the same before the first step.
    """

    needs_reference: ClassVar[bool] = False

    class Config(Settings):
        """No settings but those of every trainer."""

    def example(self, record: Record, encoder: Encoder) -> Example:
        """The token rows of a record.

        Raises:
            RowError: the record cannot be learned from.
        """
        raise TypeError(f"{type(self).__name__} must define example()")

    def loss(self, logps: Logps) -> Tensor:
        """(E,) the loss of each example, differentiable in ``logps.policy``."""
        raise TypeError(f"{type(self).__name__} must define loss()")

    def weight(self, example: Example) -> float:
        """How much an example counts: the loss of a batch is the weighted mean of its examples' losses."""
        return 1.0

    def figures(self, logps: Logps) -> Mapping[str, Tensor]:
        """More to log: (E,) a value for each example by name; the mean over the batch is logged."""
        return {}

    def settle(self, facts: Facts) -> Any:
        return settle(self.config, facts)

    def preview(self, inputs: Inputs, context: Engine) -> Iterator[tuple[str, list[tuple[str, bool]]]]:
        """Each training row's tokens, and which of them the loss is over."""
        from itune_trainers.preview import preview

        return preview(self, inputs, context)

    def train(self, inputs: Inputs, context: Engine) -> TrainedModel:
        from itune_trainers.training import train

        return train(self, inputs, context)
