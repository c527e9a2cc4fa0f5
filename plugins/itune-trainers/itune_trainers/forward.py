"""Run a model over examples: rows joined without padding where the model keeps them apart, padded where it does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from itune_trainers.examples import Example
from itune_trainers.objective import Logps
from itune_trainers.order import groups

if TYPE_CHECKING:
    from torch import Tensor, nn


class Forward:
    """The log-probabilities of examples under a model.

    Args:
        model: causal language model.
        device: where it is.
        tokens_per_forward: bound on tokens run at once; padding counts.
        reference: (rows of the example,) log-probabilities under the reference by example id; empty if none is needed.
    """

    def __init__(
        self, model: nn.Module, device: str, tokens_per_forward: int, reference: Mapping[str, Tensor] | None = None
    ) -> None:
        from itune_torch import rows_are_isolated

        self.model, self.device, self.limit = model, device, tokens_per_forward
        self.reference = dict(reference or {})
        self.padding_free = rows_are_isolated(model)

    def groups(self, examples: Sequence[Example]) -> Iterator[list[Example]]:
        """The examples, in order, in groups small enough to be run at once. Rows of an example are never apart."""
        longest = max(len(row.ids) for example in examples for row in example.rows)
        sizes = [example.tokens if self.padding_free else longest * len(example.rows) for example in examples]
        for group in groups(sizes, self.limit):
            yield [examples[number] for number in group]

    def __call__(self, group: Sequence[Example]) -> Logps:
        """What the losses of a group are computed from; differentiable unless gradients are off."""
        import torch

        from itune_torch import lay_out, pad, sequence_logprobs

        rows = [row for example in group for row in example.rows]
        batches = lay_out(rows, self.limit) if self.padding_free else [pad(rows)]
        sums, counts = sequence_logprobs(self.model, [batch.to(self.device) for batch in batches])
        reference = [self.reference[example.id] for example in group] if self.reference else None
        scores = [score for example in group for score in example.scores or [0.0] * len(example.rows)]
        return Logps(
            policy=sums,
            reference=None if reference is None else torch.cat(reference).to(self.device),
            tokens=counts,
            labels=torch.tensor([example.label for example in group], dtype=torch.float32, device=self.device),
            rows=torch.tensor([len(example.rows) for example in group], device=self.device),
            scores=torch.tensor(scores, dtype=torch.float32, device=self.device),
        )
