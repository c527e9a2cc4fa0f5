"""Completions to log-probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from itune_core.api import Failed, LogProbs, RowError, TokenLogProbs

if TYPE_CHECKING:
    from itune_torch import Encoded

JOINED = 512
"""Longest sequence that rows are joined into, in tokens. On SmolLM2-135M, Alpaca rows and one CPU core, longer ones are
no faster and take more memory."""


def score(
    model: Any, tokenizer: Any, requests: Sequence[LogProbs], *, context: int | None, max_batch: int, isolated: bool
) -> Iterator[TokenLogProbs | Failed]:
    """Score the completions of `requests`, in order, each reply as soon as its batch is done.

    A completion is encoded as a trainer would encode it after its prompt, the end of its turn included. With no prompt
    it is plain text, without the chat template, and the end-of-sequence token.

    Args:
        model, tokenizer: a causal language model in eval mode.
        requests: what to score.
        context: most tokens the model reads; None if it does not say.
        max_batch: most rows in a padded batch.
        isolated: whether the model keeps joined rows apart; one that does not gets padded batches.
    """
    import torch

    from itune_torch import lay_out, logprobs, pad

    encoded: list[Encoded | Failed] = []
    for request in requests:
        try:
            encoded.append(encode(tokenizer, request, context))
        except RowError as error:
            encoded.append(Failed.of(error))
    rows = [row for row in encoded if not isinstance(row, Failed)]
    if isolated:
        batches = lay_out(rows, max_tokens=JOINED)
    else:
        batches = [pad(rows[start : start + max_batch]) for start in range(0, len(rows), max_batch)]

    def scored() -> Iterator[list[float]]:
        for batch in batches:
            with torch.inference_mode():
                values = logprobs(model, batch.to(model.device)).tolist()
            end = 0
            for count in torch.bincount(batch.row, minlength=len(batch.rows)).tolist():
                end += count
                yield values[end - count : end]

    found = scored()
    for row in encoded:
        yield row if isinstance(row, Failed) else TokenLogProbs(next(found))


def encode(tokenizer: Any, request: LogProbs, context: int | None) -> Encoded:
    """The tokens of a request and which of them are scored.

    Raises:
        RowError: the row is longer than the request, or the model's `context`, allows.
    """
    from itune_torch import encode_completion, encode_text

    if request.prompt:
        row = encode_completion(tokenizer, request.prompt, request.completion, max_length=request.max_length)
    else:
        text = "".join(turn["content"] for turn in request.completion)
        row = encode_text(tokenizer, text, max_length=request.max_length)
    assert row is not None  # only the overlength policy "drop" gives None
    if context is not None and len(row.ids) > context:
        raise RowError(
            f"the row has {len(row.ids)} tokens, and the model reads {context}",
            "E-BACKEND-004",
            fix="filter long rows out, or use a model with a longer context",
        )
    return row
