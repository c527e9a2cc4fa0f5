"""Language models: rows joined without padding where the model keeps them apart, padded where it does not.

Rows of one example (a pair, a list) begin with the same prompt. It is run once, where the model can be told so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from itune_core.api import ModelSource
from itune_trainers.forward.base import Forward
from itune_trainers.rows.example import Example

if TYPE_CHECKING:
    from torch import Tensor, nn

    from itune_torch import Batch, Encoded


class Causal(Forward):
    """The log-probabilities of rows under a causal language model."""

    task = "CAUSAL_LM"
    quantizes = True

    def __init__(self, model: nn.Module, device: str, tokens_per_forward: int) -> None:
        from itune_torch import rows_are_isolated

        super().__init__(model, device, tokens_per_forward)
        self.padding_free = rows_are_isolated(model)

    @staticmethod
    def load(source: ModelSource, *, dtype: Any, device: str, adapter: Literal["attach", "merge"], **held: Any) -> Any:
        from itune_torch import load_causal

        return load_causal(source, dtype=dtype, device=device, adapter=adapter, **held)

    @cached_property
    def prefix_shared(self) -> bool:
        """Whether rows of one example share the tokens they begin with; asked of the model once, if there are any."""
        from itune_torch import prefixes_can_be_shared

        return self.padding_free and prefixes_can_be_shared(self.model)

    def values(self, rows: Sequence[Sequence[Encoded]]) -> tuple[Tensor, Tensor]:
        from itune_torch import sequence_logprobs

        return sequence_logprobs(self.model, self.batches(rows))

    def batches(self, rows: Sequence[Sequence[Encoded]]) -> list[Batch]:
        """All the rows, as they are run; an index of a row counts through all examples."""
        from itune_torch import lay_out, pad

        flat = [row for some in rows for row in some]
        limit = sum(len(row.ids) for row in flat) if self.one_call else self.limit
        together = None
        if len(flat) > 1 and (self.share_all or len(flat) > len(rows)) and self.prefix_shared:
            together = [len(flat)] if self.share_all else [len(some) for some in rows]
        batches = lay_out(flat, limit, together) if self.padding_free else [pad(flat)]
        return [batch.to(self.device) for batch in batches]

    def size(self, rows: Sequence[Encoded], longest: int) -> int:
        from itune_torch import shared_prefix

        if not self.padding_free:
            return longest * len(rows)
        again = (len(rows) - 1) * shared_prefix(rows) if len(rows) > 1 and self.prefix_shared else 0
        return sum(len(row.ids) for row in rows) - again

    def facts(self, examples: Sequence[Example]) -> Mapping[str, Any]:
        several = self.share_all or any(len(example.rows) > 1 for example in examples)
        shared = {"prefix_shared": self.prefix_shared} if several else {}
        if self.padding_free:
            return {"padding_free": True, **shared}
        why = "joined rows read each other in this model"
        return {"padding_free": False, "padding_free_why": why, **shared}
