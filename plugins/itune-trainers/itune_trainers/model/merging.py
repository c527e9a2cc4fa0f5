"""Add an adapter into the weights of its base, and hold what is saved against what was trained."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from itune_core.api import Architecture, ModelError, ModelSource, RowError, message
from itune_trainers.forward import forward_of
from itune_trainers.model.saving import save_model

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedTokenizerBase

TOLERANCE = 1e-4
"""Largest difference of a logit that float32 explains, as a share of the largest logit: sums are done in another order.
Two layers differ by 2e-6, thirty by as much."""

RANDOM_ROWS, RANDOM_TOKENS = 3, 48
QUESTION = "Which month comes after June, and how many days has it?"


def merge(
    architecture: Architecture, source: ModelSource, folder: Path, dtype: Literal["float32", "bfloat16"]
) -> Mapping[str, Any]:
    """Save the model of `source` in `folder` with its adapter in its weights.

    The logits of a few rows (random tokens, and a question as the chat template writes it) are held against each other:
    with the adapter as it was trained and merged, both in float32; and merged and rounded to `dtype`, in memory and
    opened anew from `folder`. So the one difference that is let pass is that of rounding the merged weights.

    Returns:
        ``difference`` between the adapter on its base in float32 and what was saved, the largest of any logit;
        ``merging``, the same before rounding, and ``saving``, that of saving and opening; ``tolerance`` of those two;
        ``adapter``, the largest change that the adapter itself makes; ``largest`` logit; ``rows`` and ``tokens``.

    Raises:
        ModelError: ``E-TRAIN-080`` merging or saving changes more than float32 explains; ``E-TRAIN-081`` `source` has
            no adapter.
    """
    import torch

    from itune_torch import load_tokenizer

    if source.adapter is None:
        raise ModelError("E-TRAIN-081", f"{source.spec!r} has no adapter: there is nothing to merge")
    way = forward_of(architecture)
    tokenizer = load_tokenizer(source)
    model = way.load(source, dtype="float32", device="cpu", adapter="attach")
    rows = _rows(model, tokenizer)
    with model.disable_adapter():
        plain = [_logits(model, row) for row in rows]
    before = [_logits(model, row) for row in rows]
    del model  # of a large model, one copy at a time fits
    model = way.load(source, dtype="float32", device="cpu", adapter="merge")
    merged = [_logits(model, row) for row in rows]
    for parameter in model.parameters():  # not the buffers: rotary frequencies stay in float32 when a model is opened
        parameter.data = parameter.data.to(getattr(torch, dtype))
    rounded = [_logits(model, row) for row in rows]
    save_model(model, tokenizer, folder)
    del model
    saved = replace(source, files=folder, layout="transformers", adapter=None, base_identity=None)
    model = way.load(saved, dtype=dtype, device="cpu", adapter="attach")
    after = [_logits(model, row) for row in rows]

    largest = max(logits.abs().max().item() for logits in before)
    found = {
        "difference": _apart(before, after),
        "merging": _apart(before, merged),
        "saving": _apart(rounded, after),
        "tolerance": TOLERANCE * largest,
        "adapter": _apart(before, plain),
        "largest": largest,
        "rows": len(rows),
        "tokens": sum(len(row) for row in rows),
    }
    for step in ("merging", "saving"):
        if not found[step] <= found["tolerance"]:  # so that "not a number" is refused too
            raise ModelError(
                "E-TRAIN-080",
                f"{step} changes what the model computes",
                where=source.spec,
                why=f"a logit differs by {found[step]:.3g}; float32 explains {found['tolerance']:.3g}",
                fix="export the adapter as it is, without --merge",
            )
    return found


def _rows(model: nn.Module, tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    """Random tokens, the same for the same vocabulary, and one prompt, where the tokenizer can write it."""
    import torch

    from itune_torch import encode_completion

    vocabulary = min(len(tokenizer), model.get_input_embeddings().num_embeddings)  # type: ignore[operator]
    draw = torch.Generator().manual_seed(0)
    rows: list[list[int]] = torch.randint(vocabulary, (RANDOM_ROWS, RANDOM_TOKENS), generator=draw).tolist()
    try:
        asked = [message("user", QUESTION)], [message("assistant", "July.")]
        written = encode_completion(tokenizer, *asked)
    except (ModelError, RowError):  # no chat template, or one for other conversations: the random rows must do
        return rows
    return rows if written is None else [*rows, written.ids]


def _logits(model: nn.Module, row: Sequence[int]) -> Tensor:
    """Logits in float32; of an encoder-decoder model, the row is both what it reads and what it writes."""
    import torch

    ids = torch.tensor([row])
    read = {"decoder_input_ids": ids} if model.config.is_encoder_decoder else {}  # type: ignore[union-attr]
    with torch.no_grad():
        logits: Tensor = model(input_ids=ids, use_cache=False, **read).logits
    return logits.float()


def _apart(some: Sequence[Tensor], others: Sequence[Tensor]) -> float:
    differences = [(one - other).abs().max().item() for one, other in zip(some, others, strict=True)]
    return math.nan if any(map(math.isnan, differences)) else max(differences)
