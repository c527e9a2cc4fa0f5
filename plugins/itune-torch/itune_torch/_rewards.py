"""What a reward model says of rows: one number a row, read from the state of its last token.

transformers looks for that token by the padding id, so that of rows laid end to end it finds one, and in a row that is
padded with the token that ends it the wrong one. Here it is found by the rows' lengths.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from itune_core.api import ModelError
from itune_torch._batch import Batch
from itune_torch._load import base_of
from itune_torch._logprobs import inputs_of

HEAD = "score"
"""What transformers calls the head over whole sequences of every model built on a causal one."""


class RewardHead(nn.Linear):
    """The head of a reward model: computes in float32, whatever it and the rest of the model are held in. A reward is
    one number, so its rounding is all of it."""

    @classmethod
    def of(cls, head: nn.Linear) -> RewardHead:
        """The same head, its weights in float32."""
        made = cls(head.in_features, head.out_features, bias=head.bias is not None, device="meta")
        made.weight, made.bias = head.weight, head.bias
        return made.float()

    def forward(self, input: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.float()
        return F.linear(input.float(), self.weight.float(), bias)


def rewards(model: nn.Module, batch: Batch) -> Tensor:
    """The reward of each row of `batch`, from its last token.

    Differentiable in whatever of the model requires a gradient. As with :func:`logprobs`, rows are joined or padded,
    and the model is run as it is, through whatever wraps it.

    Args:
        model: from :func:`load_reward`; may be a `PeftModel`.
        batch: on the model's device.

    Returns:
        (R,) float32, in the order of ``batch.rows``.

    Raises:
        ModelError: ``E-TORCH-036`` the model has no head that gives one number.
    """
    return _run(model, batch, last_tokens(batch))[1]


def sequence_rewards(model: nn.Module, batches: Sequence[Batch]) -> Tensor:
    """(R,) float32 the reward of each row, indexed like the list that the batches were made from."""
    found = torch.cat([rewards(model, batch) for batch in batches])
    order = torch.tensor([index for batch in batches for index in batch.rows], device=found.device)
    return torch.zeros_like(found).index_add(0, order, found)


def last_states(model: nn.Module, batch: Batch, at: Tensor) -> Tensor:
    """(N, H) float32 what the head of a reward model is given at some tokens, scaled to a mean square of 1.

    Args:
        model, batch: as in :func:`rewards`.
        at: (N,) int64, positions in the flattened (B * T) tokens.
    """
    states = _run(model, batch, at)[0].float()
    return states * states.square().mean(-1, keepdim=True).rsqrt()


def is_reward(model: Any) -> bool:
    """Whether the model gives one number a row, by a head of the usual form."""
    head = getattr(base_of(model), HEAD, None)
    return isinstance(head, nn.Module) and base_of(model).config.num_labels == 1


def last_tokens(batch: Batch) -> Tensor:
    """(R,) where the last token of each row is in the flattened (B * T) tokens."""
    return torch.tensor(list(_last_tokens(batch)), device=batch.input_ids.device)


def _last_tokens(batch: Batch) -> Iterator[int]:
    if batch.attention_mask is not None:
        width = batch.input_ids.shape[1]
        yield from (index * width + length - 1 for index, length in enumerate(batch.lengths))
        return
    end = 0
    for part in batch.parts or [(length,) for length in batch.lengths]:
        prefix, following = (part[0], part[1:]) if len(part) > 1 else (0, part)
        end += prefix
        for length in following:
            end += length
            yield end - 1


def _run(model: nn.Module, batch: Batch, at: Tensor) -> tuple[Tensor, Tensor]:
    """What the head is given (N, H) and gives (N,) at some tokens of `batch`."""
    base = base_of(model)
    if not is_reward(model):
        raise ModelError(
            "E-TORCH-036",
            f"{type(base).__name__} has no head that gives one number for a row",
            fix="load it as a reward model: load_reward(source)",
        )
    head: nn.Module = getattr(base, HEAD)
    seen: dict[str, Tensor] = {}

    def after(_: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        seen["states"] = args[0].reshape(-1, args[0].shape[-1]).index_select(0, at)
        seen["rewards"] = output.reshape(-1).index_select(0, at).float()

    hook = head.register_forward_hook(after)
    try:
        model(**inputs_of(model, batch), use_cache=False)
    finally:
        hook.remove()
    return seen["states"], seen["rewards"]
