"""What every way of running a model has in common: examples in groups, and what a loss is computed from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from itune_core.api import ModelSource
from itune_trainers.algorithm import Logps
from itune_trainers.examples import Example
from itune_trainers.order import groups

if TYPE_CHECKING:
    from torch import Tensor, nn

    from itune_torch import Encoded


class Forward:
    """Runs a model over the rows of examples. One subclass an architecture; to write: :meth:`load`, :meth:`values` and
    :meth:`size`.

    Args:
        model: of this architecture.
        device: where it is.
        tokens_per_forward: bound on tokens run at once; padding counts.

    Attributes:
        task: PEFT's name for what the model does.
        head: last name of the modules that a new adapter trains in full, beside its low-rank updates.
        reference: (rows of the example,) values under the reference by example id; empty if none is needed.
    """

    task: ClassVar[str]
    head: ClassVar[tuple[str, ...]] = ()

    def __init__(self, model: nn.Module, device: str, tokens_per_forward: int) -> None:
        self.model, self.device, self.limit = model, device, tokens_per_forward
        self.reference: dict[str, Tensor] = {}

    @staticmethod
    def load(source: ModelSource, *, dtype: Any, device: str, adapter: Literal["attach", "merge"]) -> Any:
        """The model of `source`, in eval mode."""
        raise NotImplementedError

    def values(self, rows: Sequence[Sequence[Encoded]]) -> tuple[Tensor, Tensor]:
        """(R,) float32 the value of each row, differentiable unless gradients are off, and (R,) int64 how many
        supervised tokens it has; the rows of an example are given together."""
        raise NotImplementedError

    def size(self, rows: Sequence[Encoded], longest: int) -> int:
        """Tokens that running the rows of one example takes, in a batch whose longest row has `longest` tokens."""
        raise NotImplementedError

    def facts(self) -> Mapping[str, Any]:
        """How rows are run, for the step's metrics."""
        return {}

    def groups(self, examples: Sequence[Example]) -> Iterator[list[Example]]:
        """The examples, in order, in groups small enough to be run at once. Rows of an example are never apart."""
        longest = max(len(row.ids) for example in examples for row in example.rows)
        for group in groups([self.size(example.rows, longest) for example in examples], self.limit):
            yield [examples[number] for number in group]

    def __call__(self, group: Sequence[Example], baseline: Tensor | None = None) -> Logps:
        """What the losses of a group are computed from; differentiable unless gradients are off.

        Args:
            group: examples.
            baseline: of the batch they are from, handed on.
        """
        import torch

        policy, tokens = self.values([example.rows for example in group])
        reference = [self.reference[example.id] for example in group] if self.reference else None
        scores = [score for example in group for score in example.scores or [0.0] * len(example.rows)]
        return Logps(
            policy=policy,
            reference=None if reference is None else torch.cat(reference).to(self.device),
            tokens=tokens,
            labels=torch.tensor([example.label for example in group], dtype=torch.float32, device=self.device),
            rows=torch.tensor([len(example.rows) for example in group], device=self.device),
            scores=torch.tensor(scores, dtype=torch.float32, device=self.device),
            baseline=baseline,
        )
