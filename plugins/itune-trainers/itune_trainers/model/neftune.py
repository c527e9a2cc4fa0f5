"""Noise on the embeddings of a training step's tokens (NEFTune)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


@contextmanager
def noisy_embeddings(model: nn.Module, alpha: float) -> Iterator[None]:
    """Inside the block, add noise to what the model's input embeddings give (arXiv 2310.05914, algorithm 1).

    To each of the d numbers of each token's embedding, a draw from the uniform distribution on
    ``+-alpha / sqrt(L * d)``, with L the number of tokens of the row that the token is in: of rows that are joined,
    each row's own length; of padded rows, the length without padding; of rows that share a prefix, that of the longest.
    So how rows are batched changes which numbers are drawn, but not their distribution. The draws are from torch's
    global generator.

    Args:
        model: as it is called, with ``position_ids`` by keyword.
        alpha: the paper's; 5 to 15 there.
    """
    from itune_torch import base_of

    scales: list[Tensor] = []

    def before(_: nn.Module, __: tuple[Any, ...], inputs: dict[str, Any]) -> None:
        scales[:] = [_scales(inputs["position_ids"], inputs.get("attention_mask"))]

    def after(_: nn.Module, __: tuple[Any, ...], embedded: Tensor) -> Tensor:
        noise = torch.empty_like(embedded, dtype=torch.float32).uniform_(-1, 1)
        return embedded + (alpha / math.sqrt(embedded.shape[-1]) * noise * scales[0][..., None]).to(embedded.dtype)

    hooks = [
        model.register_forward_pre_hook(before, with_kwargs=True),
        base_of(model).get_input_embeddings().register_forward_hook(after),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _scales(positions: Tensor, mask: Tensor | None) -> Tensor:
    """(B, T) float32, one over the square root of the length of the row that each token is in."""
    if mask is not None:
        return mask.sum(1, keepdim=True).float().rsqrt().expand(positions.shape)
    # Joined rows: one begins where the positions begin anew, and is as long as they go.
    row = (positions == 0).cumsum(1) - 1
    lengths = torch.zeros_like(positions).scatter_reduce_(1, row, positions + 1, "amax")
    return lengths.gather(1, row).float().rsqrt()
