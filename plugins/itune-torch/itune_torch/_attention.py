"""Attention over rows laid end to end: each row's block of the mask, not the whole square.

transformers keeps joined rows apart by a (T, T) mask and then computes all T * T scores, most of them masked. The
rows' blocks on the diagonal are all that can be non-zero, so here each row attends by itself, under its own part of
the very same mask: the same numbers for the sum of the squares in place of the square of the sum. On one CPU
core, eight Alpaca rows joined to at most 512 tokens (SmolLM2-135M) spent a third of a bfloat16 step's profile in
attention without this.

Rows that share a prefix are attended to in the same way: the prefix to itself, and what follows it in each row to the
prefix and itself. No part of a row ever reads another row's.

It is an attention implementation registered through transformers' public interface, and plain sdpa for every call
that does not say how long the rows are (generation, padded batches).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel

NAME = "itune_row_blocks"
LENGTHS = "row_lengths"
"""Keyword of the model call that carries the rows' lengths (a tuple of int) down to the attention layers."""
PARTS = "row_parts"
"""Keyword that carries `Batch.parts` instead, where rows share a prefix."""


def use_row_blocks(model: PreTrainedModel) -> PreTrainedModel:
    """Switch a model from sdpa to this; a model that attends in another way is left as it is."""
    if model.config._attn_implementation == "sdpa":
        model.set_attn_implementation(NAME)
    return model


def attends_in_blocks(model: PreTrainedModel) -> bool:
    """Whether the model takes :data:`LENGTHS` or :data:`PARTS` with its call."""
    return bool(model.config._attn_implementation == NAME)


def _row_blocks(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **rest: Any
) -> tuple[Tensor, None]:
    """(B, heads, T, head_dim) to (B, T, heads, head_dim), as transformers' attention functions do."""
    sdpa = AttentionInterface()["sdpa"]
    lengths, parts = rest.pop(LENGTHS, None), rest.pop(PARTS, None)
    if rest.get("position_bias") is not None:  # of all T * T places: the mask keeps rows apart, and no prefix is shared
        return sdpa(module, query, key, value, attention_mask, **rest)  # type: ignore[no-any-return]
    if parts is not None:
        return _row_parts(module, query, key, value, parts, **rest), None
    if lengths is None or len(lengths) == 1:
        return sdpa(module, query, key, value, attention_mask, **rest)  # type: ignore[no-any-return]
    outputs, start = [], 0
    for part in zip(*(torch.split(states, lengths, 2) for states in (query, key, value)), strict=True):
        end = start + part[0].shape[2]
        block = None if attention_mask is None else attention_mask[..., start:end, start:end]
        outputs.append(sdpa(module, *part, block, **rest)[0])
        start = end
    return torch.cat(outputs, dim=1), None


def _row_parts(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, parts: tuple[tuple[int, ...], ...], **rest: Any
) -> Tensor:
    """As `_row_blocks`. The model's mask is not used: it is made of positions, which cannot say what is shared."""
    sdpa = AttentionInterface()["sdpa"]
    flat = [length for block in parts for length in block]
    pieces = zip(*(torch.split(states, flat, 2) for states in (query, key, value)), strict=True)
    outputs = []
    for prefix, *following in parts:
        _, keys, values = first = next(pieces)
        outputs.append(sdpa(module, *first, None, **rest)[0])
        for length in following:
            asks, own_keys, own_values = next(pieces)
            # One a layer costs a fraction of a per cent of the step; kept, they would cost memory.
            mask = torch.ones((length, prefix + length), dtype=torch.bool, device=query.device).tril(prefix)[None, None]
            both = torch.cat((keys, own_keys), 2), torch.cat((values, own_values), 2)
            outputs.append(sdpa(module, asks, *both, mask, **rest)[0])
    return torch.cat(outputs, dim=1)


AttentionInterface.register(NAME, _row_blocks)
AttentionMaskInterface.register(NAME, AttentionMaskInterface()["sdpa"])
