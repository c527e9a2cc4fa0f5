"""Rows in one tensor: laid end to end without padding, or padded for models that cannot tell joined rows apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from itune_torch._encode import Encoded


@dataclass(frozen=True)
class Batch:
    """Token rows and the places whose next token is supervised.

    Attributes:
        input_ids: (B, T) int64. B is 1 when rows are laid end to end, the number of rows when padded.
        position_ids: (B, T) int64, restarting at 0 with each row: what tells joined rows apart.
        attention_mask: (B, T) int64, 1 for tokens and 0 for padding; None when there is no padding.
        targets: (N,) int64, positions in the flattened (B * T) tokens; the token after each one is to be predicted.
        target_ids: (N,) int64, those next tokens.
        row: (N,) int64, which row of this batch a target belongs to, 0 to `len(rows) - 1`.
        rows: for each row of this batch its index in the list the batch was made from.
        lengths: for each row its length in tokens.
    """

    input_ids: Tensor
    position_ids: Tensor
    attention_mask: Tensor | None
    targets: Tensor
    target_ids: Tensor
    row: Tensor
    rows: tuple[int, ...]
    lengths: tuple[int, ...]

    def to(self, device: str | torch.device) -> Batch:
        """The same batch on `device`."""
        mask = self.attention_mask
        return replace(
            self,
            input_ids=self.input_ids.to(device),
            position_ids=self.position_ids.to(device),
            attention_mask=None if mask is None else mask.to(device),
            targets=self.targets.to(device),
            target_ids=self.target_ids.to(device),
            row=self.row.to(device),
        )


def lay_out(rows: Sequence[Encoded], max_tokens: int) -> list[Batch]:
    """Join rows end to end into sequences of at most `max_tokens` tokens, in the order given.

    No token is padding and none is cut: a row longer than `max_tokens` gets a sequence of its own. The bound is on
    memory; and on time, for a model whose attention is not sdpa: its mask costs the square of the joined length.

    Only for models for which :func:`rows_are_isolated` holds; use :func:`pad` for the others.

    Args:
        rows: encoded rows.
        max_tokens: longest joined sequence, in tokens.

    Returns:
        batches whose ``rows`` together are 0 to ``len(rows) - 1`` in order.
    """
    batches: list[Batch] = []
    group: list[int] = []
    length = 0
    for index, row in enumerate(rows):
        if group and length + len(row.ids) > max_tokens:
            batches.append(_joined(rows, group))
            group, length = [], 0
        group.append(index)
        length += len(row.ids)
    if group:
        batches.append(_joined(rows, group))
    return batches


def pad(rows: Sequence[Encoded]) -> Batch:
    """Put rows under each other, padded on the right to the longest. Padding is masked out and never a target."""
    width = max(len(row.ids) for row in rows)
    input_ids = torch.zeros((len(rows), width), dtype=torch.long)
    attention_mask = torch.zeros((len(rows), width), dtype=torch.long)
    for index, row in enumerate(rows):
        input_ids[index, : len(row.ids)] = torch.tensor(row.ids)
        attention_mask[index, : len(row.ids)] = 1
    position_ids = torch.arange(width).expand(len(rows), width)
    starts = range(0, len(rows) * width, width)
    return Batch(
        input_ids,
        position_ids,
        attention_mask,
        *_targets(rows, starts),
        rows=tuple(range(len(rows))),
        lengths=tuple(len(row.ids) for row in rows),
    )


def _joined(rows: Sequence[Encoded], group: Sequence[int]) -> Batch:
    members = [rows[index] for index in group]
    starts = [0]
    for row in members[:-1]:
        starts.append(starts[-1] + len(row.ids))
    return Batch(
        torch.tensor([[token for row in members for token in row.ids]]),
        torch.tensor([[position for row in members for position in range(len(row.ids))]]),
        None,
        *_targets(members, starts),
        rows=tuple(group),
        lengths=tuple(len(row.ids) for row in members),
    )


def _targets(rows: Sequence[Encoded], starts: Iterable[int]) -> tuple[Tensor, Tensor, Tensor]:
    """(targets, target_ids, row): the first token of a row is never a target, nothing precedes it."""
    targets, target_ids, owner = [], [], []
    for index, (row, start) in enumerate(zip(rows, starts, strict=True)):
        for place in range(1, len(row.ids)):
            if row.trained[place]:
                targets.append(start + place - 1)
                target_ids.append(row.ids[place])
                owner.append(index)
    return tuple(torch.tensor(values, dtype=torch.long) for values in (targets, target_ids, owner))  # type: ignore[return-value]
