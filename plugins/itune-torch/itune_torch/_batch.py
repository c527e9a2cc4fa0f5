"""Rows in one tensor: laid end to end without padding, or padded for models that cannot tell joined rows apart.

Rows of one example (a pair, a list of answers) may share the tokens they all begin with. What a causal model computes
for those does not depend on what follows, so they are run once: what K rows of P + C tokens cost, P + K C tokens do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from itune_torch._encoded import Encoded
from itune_torch._prefix import shared_prefix


@dataclass(frozen=True)
class Batch:
    """Token rows and the places whose next token is supervised.

    Attributes:
        input_ids: (B, T) int64. B is 1 when rows are laid end to end, the number of rows when padded.
        position_ids: (B, T) int64, place of each token in its row. They restart at 0 with each row, which is what tells
            joined rows apart; after a shared prefix, at its length.
        attention_mask: (B, T) int64, 1 for tokens and 0 for padding; None when there is no padding.
        targets: (N,) int64, positions in the flattened (B * T) tokens; the next token of the row is to be predicted
            there. The last position of a shared prefix may occur once for each of its rows.
        target_ids: (N,) int64, those next tokens.
        row: (N,) int64, which row of this batch a target belongs to, 0 to `len(rows) - 1`.
        rows: for each row of this batch its index in the list the batch was made from.
        lengths: for each row its length in tokens, a prefix it shares included.
        parts: empty if no row shares tokens with another. Else the lengths of the T tokens' parts, by what may be read
            from them: ``(12, 5, 7)`` are 12 tokens that two rows begin with, what follows in the one, and what follows
            in the other; ``(20,)`` is a row by itself.
    """

    input_ids: Tensor
    position_ids: Tensor
    attention_mask: Tensor | None
    targets: Tensor
    target_ids: Tensor
    row: Tensor
    rows: tuple[int, ...]
    lengths: tuple[int, ...]
    parts: tuple[tuple[int, ...], ...] = ()

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


def lay_out(rows: Sequence[Encoded], max_tokens: int, together: Sequence[int] | None = None) -> list[Batch]:
    """Join rows end to end into sequences of at most `max_tokens` tokens, in the order given.

    No token is padding and none is cut: a row longer than `max_tokens` gets a sequence of its own. The bound is on
    memory; and on time, for a model whose attention is not sdpa: its mask costs the square of the joined length.

    Only for models for which :func:`rows_are_isolated` holds; use :func:`pad` for the others.

    Args:
        rows: encoded rows.
        max_tokens: longest joined sequence, in tokens.
        together: sizes of runs of consecutive rows, in sum all of them. The rows of a run share their
            :func:`shared_prefix`, and come into one sequence if they fit into any; only for models for which
            :func:`prefixes_can_be_shared` holds. Where no two rows begin alike, and by default, nothing is shared.

    Returns:
        batches whose ``rows`` together are 0 to ``len(rows) - 1`` in order.
    """
    batches: list[Batch] = []
    group: list[_Block] = []
    length = 0
    for block in _blocks(rows, [1] * len(rows) if together is None else together, max_tokens):
        if group and length + block.tokens > max_tokens:
            batches.append(_joined(rows, group))
            group, length = [], 0
        group.append(block)
        length += block.tokens
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
    places = [range(start, start + width) for start in range(0, len(rows) * width, width)]
    return Batch(
        input_ids,
        position_ids,
        attention_mask,
        *_targets(rows, places),
        rows=tuple(range(len(rows))),
        lengths=tuple(len(row.ids) for row in rows),
    )


@dataclass
class _Block:
    """Rows that share their first `prefix` tokens, by index; `tokens` are run for them."""

    prefix: int
    tokens: int
    rows: list[int]


def _blocks(rows: Sequence[Encoded], together: Sequence[int], max_tokens: int) -> Iterator[_Block]:
    """The rows of each run in one block; in several if they share nothing, or one would be longer than `max_tokens`."""
    if sum(together) != len(rows):
        raise ValueError(f"together: the runs hold {sum(together)} rows in sum, there are {len(rows)}")
    start = 0
    for count in together:
        prefix = shared_prefix(rows[start : start + count])
        block = _Block(prefix, prefix, [])
        for index in range(start, start + count):
            own = len(rows[index].ids) - prefix
            if block.rows and (not prefix or block.tokens + own > max_tokens):
                yield block
                block = _Block(prefix, prefix, [])
            block.tokens += own
            block.rows.append(index)
        if block.rows:
            yield block
        start += count


def _joined(rows: Sequence[Encoded], blocks: Sequence[_Block]) -> Batch:
    ids: list[int] = []
    positions: list[int] = []
    places: list[Sequence[int]] = []
    parts: list[tuple[int, ...]] = []
    for block in blocks:
        members = [rows[index] for index in block.rows]
        prefix = block.prefix if len(members) > 1 else 0
        head = range(len(ids), len(ids) + prefix)
        ids += members[0].ids[:prefix]
        positions += range(prefix)
        for row in members:
            places.append([*head, *range(len(ids), len(ids) + len(row.ids) - prefix)])
            ids += row.ids[prefix:]
            positions += range(prefix, len(row.ids))
        own = tuple(len(row.ids) - prefix for row in members)
        parts.append((prefix, *own) if prefix else own)
    order = [index for block in blocks for index in block.rows]
    members = [rows[index] for index in order]
    return Batch(
        torch.tensor([ids]),
        torch.tensor([positions]),
        None,
        *_targets(members, places),
        rows=tuple(order),
        lengths=tuple(len(row.ids) for row in members),
        parts=tuple(parts) if len(parts) < len(order) else (),
    )


def _targets(rows: Sequence[Encoded], places: Iterable[Sequence[int]]) -> tuple[Tensor, Tensor, Tensor]:
    """(targets, target_ids, row), given where each token of each row is. The first token of a row is never a target,
    nothing precedes it."""
    targets, target_ids, owner = [], [], []
    for index, (row, at) in enumerate(zip(rows, places, strict=True)):
        for place in range(1, len(row.ids)):
            if row.trained[place]:
                targets.append(at[place - 1])
                target_ids.append(row.ids[place])
                owner.append(index)
    return tuple(torch.tensor(values, dtype=torch.long) for values in (targets, target_ids, owner))  # type: ignore[return-value]
