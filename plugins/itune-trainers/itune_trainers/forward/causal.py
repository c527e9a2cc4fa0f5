"""Language models: rows joined without padding where the model keeps them apart, padded where it does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from itune_core.api import ModelSource
from itune_trainers.forward.base import Forward

if TYPE_CHECKING:
    from torch import Tensor, nn

    from itune_torch import Encoded


class Causal(Forward):
    """The log-probabilities of rows under a causal language model."""

    task = "CAUSAL_LM"

    def __init__(self, model: nn.Module, device: str, tokens_per_forward: int) -> None:
        from itune_torch import rows_are_isolated

        super().__init__(model, device, tokens_per_forward)
        self.padding_free = rows_are_isolated(model)

    @staticmethod
    def load(source: ModelSource, *, dtype: Any, device: str, adapter: Literal["attach", "merge"]) -> Any:
        from itune_torch import load_causal

        return load_causal(source, dtype=dtype, device=device, adapter=adapter)

    def values(self, rows: Sequence[Sequence[Encoded]]) -> tuple[Tensor, Tensor]:
        from itune_torch import lay_out, pad, sequence_logprobs

        flat = [row for some in rows for row in some]
        batches = lay_out(flat, self.limit) if self.padding_free else [pad(flat)]
        return sequence_logprobs(self.model, [batch.to(self.device) for batch in batches])

    def size(self, rows: Sequence[Encoded], longest: int) -> int:
        return sum(len(row.ids) for row in rows) if self.padding_free else longest * len(rows)

    def facts(self) -> Mapping[str, Any]:
        if self.padding_free:
            return {"padding_free": True}
        why = "joined rows read each other in this model, so rows were padded"
        return {"padding_free": False, "padding_free_why": why}
