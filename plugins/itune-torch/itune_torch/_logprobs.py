"""Log-probabilities of supervised tokens: the one hot path of training and scoring.

Only positions whose next token is supervised go through the LM head, in chunks, so neither the (tokens, vocabulary)
logits nor their gradient ever exist as a whole. The model is run as it is, through whatever wraps it (an adapter,
data parallelism): two hooks on the LM head take the hidden states it would have projected and let it project one
position only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast
from weakref import WeakSet

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from itune_core.api import ModelError
from itune_torch._attention import LENGTHS, PARTS, attends_in_blocks
from itune_torch._batch import Batch
from itune_torch._load import base_of
from itune_torch._seq2seq import Seq2SeqBatch

CHUNK = 128
"""Positions projected at once. Wide enough that reading the head's weights is not what takes the time; and 128 rows of
a 49,152-word vocabulary are 24 MiB in float32, a size the C library still hands out again without fresh pages."""

_reshapes_logits: WeakSet[nn.Module] = WeakSet()
"""LM heads seen to be followed by more arithmetic (soft-capping, scaling)."""


def logprobs(model: nn.Module, batch: Batch | Seq2SeqBatch, *, chunk: int = CHUNK, precise: bool = False) -> Tensor:
    """Log-probability of each target of `batch` given the tokens before it in its row.

    Differentiable in whatever of the model requires a gradient. With a frozen LM head (any adapter that leaves it
    alone) the backward pass costs no projection at all: d logp / d hidden = W[target] - softmax(logits) W is kept,
    (N, hidden), from the forward pass. With a trained head the logits are computed again, chunk by chunk.

    ``use_cache=False`` goes with every call. It is not about memory: with a cache object present transformers (5.23)
    takes ``position_ids`` for plain positions and builds no mask between joined rows, which then read each other with
    no error.

    Args:
        model: language model, causal or encoder-decoder as the batch is; may be a `PeftModel` or wrapped in
            `DistributedDataParallel`.
        batch: on the model's device.
        chunk: positions projected at once; memory only, not the result.
        precise: project in float32 whatever the model's type. In bfloat16 logits between 16 and 32 lie on a grid of
            1/8, which is no matter in a sum over an answer but most of what one token can say. Costs a float32 copy of
            a half-precision head for the time of the call.

    Returns:
        (N,) float32, in the order of ``batch.targets``.

    Raises:
        ModelError: the model has no LM head of the usual form; rows of `batch` share a prefix, and the model does not
            attend in a way that knows of it.
    """
    head = _head_of(model)
    if head not in _reshapes_logits and type(head) is nn.Linear:
        hidden, own, final = _run(model, head, batch, first_only=True)
        if torch.allclose(own.float(), final.float(), rtol=0, atol=0, equal_nan=True):
            weight: Tensor = head.weight
            bias: Tensor | None = head.bias
            if not torch.is_grad_enabled():  # inside a Function, forward cannot tell
                hidden, weight, bias = hidden.detach(), weight.detach(), None if bias is None else bias.detach()
            if precise:
                weight, bias = weight.float(), None if bias is None else bias.float()
            return cast(Tensor, _LinearLogprobs.apply(hidden, weight, bias, batch.target_ids, chunk))  # type: ignore[no-untyped-call]
        # Gemma caps its logits, Granite and Cohere scale them: the head's own output is not the model's.
        _reshapes_logits.add(head)
    *_, logits = _run(model, head, batch, first_only=False)
    logits = logits.reshape(-1, logits.shape[-1]).float()
    return logits.gather(-1, batch.target_ids[:, None]).squeeze(-1) - logits.logsumexp(-1)


def sequence_logprobs(
    model: nn.Module, batches: Sequence[Batch | Seq2SeqBatch], *, chunk: int = CHUNK
) -> tuple[Tensor, Tensor]:
    """Sum of target log-probabilities and number of targets for each row.

    Args:
        model: as in :func:`logprobs`.
        batches: of one list of rows, as :func:`lay_out` or :func:`pad_seq2seq` gives them.
        chunk: as in :func:`logprobs`.

    Returns:
        sums (R,) float32 and counts (R,) int64, indexed like the list the batches were made from.
    """
    size = 1 + max(index for batch in batches for index in batch.rows)
    device = batches[0].input_ids.device
    sums = torch.zeros(size, device=device)
    counts = torch.zeros(size, dtype=torch.long, device=device)
    for batch in batches:
        owner = torch.tensor(batch.rows, device=device)[batch.row]
        sums = sums.index_add(0, owner, logprobs(model, batch, chunk=chunk))
        counts.index_add_(0, owner, torch.ones_like(owner))
    return sums, counts


def _head_of(model: nn.Module) -> nn.Module:
    base = base_of(model)
    head = base.get_output_embeddings() if hasattr(base, "get_output_embeddings") else None
    if head is None:
        raise ModelError(
            "E-TORCH-020",
            f"{type(base).__name__} has no LM head, so it gives no token probabilities",
            fix="load the model as a causal language model: load_causal(source)",
        )
    return head  # type: ignore[no-any-return]


def _run(
    model: nn.Module, head: nn.Module, batch: Batch | Seq2SeqBatch, *, first_only: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Run `model`, letting its head project either the targets or one position only.

    Returns:
        hidden states at the targets (N, H); what the head gave; what the model made of it.
    """
    seen: dict[str, Tensor] = {}

    def before(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        hidden = args[0]
        seen["hidden"] = hidden.reshape(-1, hidden.shape[-1]).index_select(0, batch.targets)
        # One position as a matrix, not as (1, 1, H): for that shape torch copies the whole bfloat16 weight first (80
        # ms).
        return (hidden[0, :1].detach() if first_only else seen["hidden"][None], *args[1:])

    def after(_: nn.Module, __: tuple[Any, ...], output: Tensor) -> None:
        seen["own"] = output

    hooks = [head.register_forward_pre_hook(before), head.register_forward_hook(after)]
    try:
        logits = model(**inputs_of(model, batch), use_cache=False).logits
    finally:
        for hook in hooks:
            hook.remove()
    return seen["hidden"], seen["own"], logits


def inputs_of(model: nn.Module, batch: Batch | Seq2SeqBatch) -> dict[str, Any]:
    """What `model` is called with."""
    if isinstance(batch, Seq2SeqBatch):
        return dict(batch.inputs)
    inputs: dict[str, Any] = {"input_ids": batch.input_ids, "position_ids": batch.position_ids}
    if batch.attention_mask is not None:
        inputs["attention_mask"] = batch.attention_mask
    elif attends_in_blocks(base_of(model)):
        inputs |= {PARTS: batch.parts} if batch.parts else {LENGTHS: batch.lengths}
    elif batch.parts:
        raise ModelError(
            "E-TORCH-031",
            f"rows of this batch share a prefix, and {type(base_of(model)).__name__} cannot be told so",
            why=f"its attention ({base_of(model).config._attn_implementation}) would let them read each other",
            fix="ask prefixes_can_be_shared(model) once, and use lay_out(rows, max_tokens) if it says no",
        )
    return inputs


class _LinearLogprobs(torch.autograd.Function):
    """log softmax(hidden W' + b)[target], a chunk of positions at a time."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, target_ids: Tensor, chunk: int
    ) -> Tensor:
        ctx.chunk = chunk
        ctx.frozen = not (ctx.needs_input_grad[1] or ctx.needs_input_grad[2])
        hidden = hidden.to(weight.dtype)
        out = torch.empty(len(target_ids), dtype=torch.float32, device=hidden.device)
        slope = torch.empty_like(hidden) if ctx.frozen and ctx.needs_input_grad[0] else None
        # Two buffers for all chunks: on a CPU the page faults of fresh ones would cost more than the arithmetic.
        size = (min(chunk, len(target_ids)), len(weight))
        all_logits = torch.empty(size, dtype=weight.dtype, device=hidden.device)
        all_logs = torch.empty(size, dtype=torch.float32, device=hidden.device)
        for part in _parts(len(target_ids), chunk):
            ids = target_ids[part]
            logits = torch.mm(hidden[part], weight.T, out=all_logits[: len(ids)])
            if bias is not None:
                logits += bias
            logs = torch.log_softmax(logits, dim=-1, dtype=torch.float32, out=all_logs[: len(ids)])
            out[part] = logs.gather(1, ids[:, None]).squeeze(1)
            if slope is not None:
                torch.mm(logits.copy_(logs.exp_()), weight, out=slope[part])
                torch.sub(weight[ids], slope[part], out=slope[part])
        if ctx.frozen:
            ctx.save_for_backward(slope)  # None when nothing asks for a gradient
        else:
            ctx.save_for_backward(hidden, weight, bias, target_ids)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:
        if ctx.frozen:
            (slope,) = ctx.saved_tensors
            return slope * grad[:, None].to(slope.dtype), None, None, None, None
        hidden, weight, bias, target_ids = ctx.saved_tensors
        d_hidden = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        d_weight = torch.zeros_like(weight) if ctx.needs_input_grad[1] else None
        d_bias = torch.zeros_like(bias) if ctx.needs_input_grad[2] else None
        for part in _parts(len(target_ids), ctx.chunk):
            logits = F.linear(hidden[part], weight, bias)
            # d logp / d logits = onehot(target) - softmax(logits), times the incoming gradient.
            d_logits = F.softmax(logits, dim=-1, dtype=torch.float32).mul_(-grad[part, None])
            d_logits.scatter_add_(1, target_ids[part, None], grad[part, None])
            d_logits = d_logits.to(weight.dtype)
            if d_hidden is not None:
                d_hidden[part] = d_logits @ weight
            if d_weight is not None:
                d_weight.addmm_(d_logits.T, hidden[part])
            if d_bias is not None:
                d_bias += d_logits.sum(0)
        return d_hidden, d_weight, d_bias, None, None


def _parts(count: int, chunk: int) -> list[slice]:
    return [slice(start, start + chunk) for start in range(0, count, chunk)]
