"""Encoder-decoder models: rows under each other, sources and targets each padded to the longest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from itune_core.api import ModelError, ModelSource
from itune_trainers.forward.base import Forward
from itune_trainers.rows.example import Example

if TYPE_CHECKING:
    from torch import Tensor, nn

    from itune_torch import Encoded


class Seq2Seq(Forward):
    """The log-probabilities of targets, given their sources, under an encoder-decoder model."""

    task = "SEQ_2_SEQ_LM"
    quantizes = True

    def __init__(self, model: nn.Module, device: str, tokens_per_forward: int) -> None:
        from itune_torch import decoder_start

        super().__init__(model, device, tokens_per_forward)
        self.start = decoder_start(model)

    @staticmethod
    def load(source: ModelSource, *, dtype: Any, device: str, adapter: Literal["attach", "merge"], **held: Any) -> Any:
        from itune_torch import is_seq2seq, load_seq2seq

        if not is_seq2seq(source):
            raise ModelError(
                "E-TRAIN-060",
                f"{source.spec!r} is not an encoder-decoder model",
                where=str(source.files),
                fix="name one (T5, BART and their kind), or train it with trainers/sft",
            )
        return load_seq2seq(source, dtype=dtype, device=device, adapter=adapter, **held)

    def values(self, rows: Sequence[Sequence[Encoded]]) -> tuple[Tensor, Tensor]:
        from itune_torch import pad_seq2seq, sequence_logprobs

        batch = pad_seq2seq([row for some in rows for row in some], self.start)
        return sequence_logprobs(self.model, [batch.to(self.device)])

    def width(self, rows: Sequence[Encoded]) -> int:
        from itune_torch import sides

        sources, targets = zip(*map(sides, rows), strict=True)
        return max(sources) + max(targets)

    def size(self, rows: Sequence[Encoded], longest: int) -> int:
        return longest * len(rows)

    def facts(self, examples: Sequence[Example]) -> Mapping[str, Any]:
        return {"padding_free": False, "padding_free_why": "an encoder reads in both directions"}
