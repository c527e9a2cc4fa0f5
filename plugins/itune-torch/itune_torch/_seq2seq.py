"""Encoder-decoder models: open one, and put rows of a source and a target into one batch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from itune_core.api import ModelError, ModelSource
from itune_torch._encoded import Encoded
from itune_torch._load import Dtype, base_of, load_as
from itune_torch._quantize import Quantize

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel


def is_seq2seq(source: ModelSource) -> bool:
    """Whether `source` is an encoder-decoder model: a trained one says so, of another its config does."""
    if source.architecture == "seq2seq":
        return True
    config = source.files / "config.json"
    if source.layout != "transformers" or source.architecture != "causal" or not config.is_file():
        return False
    return bool(json.loads(config.read_text("utf-8")).get("is_encoder_decoder", False))


def load_seq2seq(
    source: ModelSource,
    *,
    dtype: Dtype = "float32",
    device: str = "cpu",
    adapter: Literal["merge", "attach"] = "attach",
    quantize: Quantize | None = None,
) -> PreTrainedModel | PeftModel:
    """Load an encoder-decoder language model in eval mode. Arguments and errors as in :func:`load_causal`."""
    from transformers import AutoModelForSeq2SeqLM

    return load_as(
        AutoModelForSeq2SeqLM,
        source,
        what="an encoder-decoder language model",
        dtype=dtype,
        device=device,
        adapter=adapter,
        quantize=quantize,
    )


def decoder_start(model: Any) -> int:
    """The token that stands before the first one that the decoder writes.

    Raises:
        ModelError: neither the model's generation config nor its config names one.
    """
    base = base_of(model)
    for config in (base.generation_config, base.config):
        start = getattr(config, "decoder_start_token_id", None)
        if start is not None:
            return int(start)
    raise ModelError(
        "E-TORCH-043",
        f"{type(base).__name__} does not say which token its decoder begins with",
        fix="set decoder_start_token_id in the model's config (T5: the padding token)",
    )


@dataclass(frozen=True)
class Seq2SeqBatch:
    """Rows of a source and a target, padded on the right on both sides.

    Attributes:
        input_ids: (B, S) int64, what the encoder reads.
        attention_mask: (B, S) int64, 1 for tokens and 0 for padding.
        decoder_input_ids: (B, T) int64, the targets one place to the right, behind the token a decoder begins with.
        decoder_attention_mask: (B, T) int64.
        targets: (N,) int64, positions in the flattened (B * T) places of the decoder that are no padding.
        target_ids: (N,) int64, the token to be predicted there.
        row: (N,) int64, which row a target belongs to.
        rows: 0 to B - 1, as in :class:`Batch`.
    """

    input_ids: Tensor
    attention_mask: Tensor
    decoder_input_ids: Tensor
    decoder_attention_mask: Tensor
    targets: Tensor
    target_ids: Tensor
    row: Tensor
    rows: tuple[int, ...]

    @property
    def inputs(self) -> dict[str, Tensor]:
        """What the model is called with."""
        names = ("input_ids", "attention_mask", "decoder_input_ids", "decoder_attention_mask")
        return {name: getattr(self, name) for name in names}

    def to(self, device: str | torch.device) -> Seq2SeqBatch:
        """The same batch on `device`."""
        moved = {name: tensor.to(device) for name, tensor in self.inputs.items()}
        return replace(
            self,
            **moved,
            targets=self.targets.to(device),
            target_ids=self.target_ids.to(device),
            row=self.row.to(device),
        )


def sides(row: Encoded) -> tuple[int, int]:
    """How many tokens of `row` the encoder reads, and how many the decoder writes: those from the first trained one."""
    source = row.trained.index(True)
    return source, len(row.ids) - source


def pad_seq2seq(rows: Sequence[Encoded], start: int) -> Seq2SeqBatch:
    """Put rows under each other, sources and targets each padded to the longest.

    Args:
        rows: of :func:`encode_source_target`: first what the encoder reads, then what the decoder is to write, which
            alone is trained.
        start: the token that a decoder begins with, see :func:`decoder_start`.
    """
    lengths = [sides(row) for row in rows]
    sources = [row.ids[:source] for row, (source, _) in zip(rows, lengths, strict=True)]
    answers = [row.ids[source:] for row, (source, _) in zip(rows, lengths, strict=True)]
    input_ids, attention_mask = _padded(sources)
    decoder_input_ids, decoder_attention_mask = _padded([[start, *answer[:-1]] for answer in answers])
    return Seq2SeqBatch(
        input_ids,
        attention_mask,
        decoder_input_ids,
        decoder_attention_mask,
        targets=decoder_attention_mask.flatten().nonzero().squeeze(1),
        target_ids=torch.tensor([token for answer in answers for token in answer]),
        row=torch.tensor([number for number, answer in enumerate(answers) for _ in answer]),
        rows=tuple(range(len(rows))),
    )


def _padded(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """(B, longest) ids and mask. Token 0 fills up: any does, for it is masked."""
    ids = torch.zeros((len(rows), max(map(len, rows))), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = torch.tensor(row)
        mask[number, : len(row)] = 1
    return ids, mask
