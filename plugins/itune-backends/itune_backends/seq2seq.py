"""Questions and completions as an encoder-decoder model reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from itune_backends.batching import Budget, padded
from itune_core.api import Ask, LogProbs, RowError

if TYPE_CHECKING:
    from itune_torch import Encoded, Seq2SeqBatch


def source_ids(tokenizer: Any, ask: Ask, context: int | None) -> list[int]:
    """The tokens that the encoder reads of a question.

    Raises:
        RowError: ``E-BACKEND-003`` the prompt or the answer does not fit into the model's context, which each has for
            itself; those of :func:`itune_torch.encode_source`.
    """
    from itune_torch import encode_source

    ids = encode_source(tokenizer, ask.messages)
    if context is not None and max(len(ids), ask.max_tokens) > context:
        raise RowError(
            f"a prompt of {len(ids)} tokens or an answer of up to {ask.max_tokens} is more than the model reads",
            "E-BACKEND-003",
            why=f"its context is {context} tokens on either side",
            fix="lower max_tokens, or filter long prompts out",
        )
    return ids


def encode(tokenizer: Any, request: LogProbs, context: int | None) -> Encoded:
    """The tokens of a request: the prompt's, which the encoder reads, and the completion's, which are scored.

    Raises:
        RowError: ``E-BACKEND-004`` a side is longer than the model's context; those of
            :func:`itune_torch.encode_source_target`.
    """
    from itune_torch import encode_source_target, sides

    row = encode_source_target(tokenizer, request.prompt, request.completion, max_length=request.max_length)
    assert row is not None  # only the overlength policy "drop" gives None
    if context is not None and max(sides(row)) > context:
        raise RowError(
            f"the row has {max(sides(row))} tokens on one side, and the model reads {context}",
            "E-BACKEND-004",
            fix="filter long rows out, or use a model with a longer context",
        )
    return row


def batches(model: Any, rows: Sequence[Encoded], *, budget: Budget) -> list[Seq2SeqBatch]:
    """The rows, those of like length together, padded on both sides.

    Args:
        model: says what its decoder begins with.
        rows: encoded rows.
        budget: of each batch, both sides of its rows together.
    """
    from itune_torch import decoder_start, pad_seq2seq

    begin = decoder_start(model)
    return padded(rows, lambda some: pad_seq2seq(some, begin), budget)
