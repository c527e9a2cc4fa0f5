"""What the loop asks of an algorithm: what it learns from, and its loss as a function of log-probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from itune_core.api import Architecture, Record
from itune_trainers.rows.encoder import Encoder
from itune_trainers.rows.example import Example

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor, nn
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Logps:
    """What a loss is computed from: the rows of some examples, example after example.

    Attributes:
        policy: (R,) float32, sum of the log-probabilities of each row's supervised tokens under the model in training;
            of a reward model, the reward of each row.
        reference: (R,) float32, the same under the model as it was at the start; None if the objective needs none.
        tokens: (R,) int64, how many supervised tokens that is.
        labels: (E,) float32, each example's label.
        rows: (E,) int64, how many rows each example has; they sum to R.
        scores: (R,) float32, what the record says of each row; zeros where it says nothing.
        baseline: (), what :meth:`Algorithm.baseline` gave for the whole batch, without gradient; None where the
            examples have no rows beside.
    """

    policy: Tensor
    reference: Tensor | None
    tokens: Tensor
    labels: Tensor
    rows: Tensor
    scores: Tensor
    baseline: Tensor | None = None

    @classmethod
    def joined(cls, parts: Sequence[Logps]) -> Logps:
        """The examples of all `parts`, in order."""
        import torch

        first = parts[0]
        return cls(
            policy=torch.cat([part.policy for part in parts]),
            reference=None
            if first.reference is None
            else torch.cat([part.reference for part in parts if part.reference is not None]),
            tokens=torch.cat([part.tokens for part in parts]),
            labels=torch.cat([part.labels for part in parts]),
            rows=torch.cat([part.rows for part in parts]),
            scores=torch.cat([part.scores for part in parts]),
            baseline=first.baseline,
        )


class Algorithm:
    """A loss and what it is computed from. Methods to write: :meth:`example` and :meth:`loss`.

    Other processes may carry the training out: with an object that is made of this one's class and settings, and has
    seen no record. So what :meth:`prepare`, :meth:`example` and :meth:`complete` find out belongs into the examples.

    Attributes:
        architecture: what kind of model is trained.
        needs_reference: whether `Logps.reference` is to be computed. Dropout is off then, so that the model and its
            reference are the same before the first step.
    """

    config: Any
    architecture: ClassVar[Architecture] = "causal"
    needs_reference: ClassVar[bool] = False

    def prepare(self, tokenizer: PreTrainedTokenizerBase, rows: Dataset) -> None:
        """Look at the training rows, before any record is encoded. The tokenizer may be given another chat template: it
        is then saved beside the model, also beside an adapter."""

    def example(self, record: Record, encoder: Encoder) -> Example:
        """The token rows of a record.

        Raises:
            RowError: the record cannot be learned from.
        """
        raise TypeError(f"{type(self).__name__} must define example()")

    def complete(self, examples: Sequence[Example]) -> list[Example]:
        """The examples of a data set with what each needs to know of the others; as many, in their order."""
        return list(examples)

    def loss(self, logps: Logps) -> Tensor:
        """(E,) the loss of each example, differentiable in ``logps.policy``."""
        raise TypeError(f"{type(self).__name__} must define loss()")

    def baseline(self, logps: Logps) -> Tensor:
        """(), one number for a whole batch, from the rows `beside` its examples: computed before the batch's losses,
        without gradient, whatever the batch is split into."""
        raise TypeError(f"{type(self).__name__} must define baseline()")

    @property
    def shares_prefix(self) -> bool:
        """Whether examples that are run at once run the tokens that they all begin with once."""
        return False

    def weight(self, example: Example) -> float:
        """How much an example counts: the loss of a batch is the weighted mean of its examples' losses."""
        return 1.0

    def in_step(self, model: nn.Module) -> AbstractContextManager[None]:
        """Entered while the losses of a training step are computed, and never else: noise on the embeddings, say.

        Torch's global generator is seeded there, by step.
        """
        return nullcontext()

    def figures(self, logps: Logps) -> Mapping[str, Tensor]:
        """More to log: (E,) a value for each example by name; the mean over the batch is logged.

        NaN is no value: the mean is over the other examples, and with none the figure is left out.
        """
        return {}

    def summary(self, logps: Logps) -> Mapping[str, float]:
        """More to say of the held-out examples, where it takes all of them at once: an area, a correlation.

        Args:
            logps: of all held-out examples, without gradient.
        """
        return {}

    def counts(self, examples: Sequence[Example]) -> Mapping[str, Any]:
        """More to say of the training examples, in the step's metrics."""
        return {}
