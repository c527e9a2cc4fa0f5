"""Completions to log-probabilities."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from itune_backends.batching import Budget, by_row, in_order, padded
from itune_core.api import Failed, LogProbs, RowError, TokenLogProbs

if TYPE_CHECKING:
    from itune_torch import Batch, Encoded, Seq2SeqBatch

JOINED = 512
"""Longest sequence that rows are joined into, in tokens. On SmolLM2-135M, Alpaca rows and one CPU core, longer ones are
no faster and take more memory."""


def score(
    model: Any,
    requests: Sequence[LogProbs],
    *,
    encode: Callable[[LogProbs], Encoded],
    lay: Callable[[Sequence[Encoded]], Sequence[Batch] | Sequence[Seq2SeqBatch]],
) -> Iterator[TokenLogProbs | Failed]:
    """Score the completions of `requests`, in order, each reply as soon as its batch is done.

    Args:
        model: a language model in eval mode.
        requests: what to score.
        encode: gives the tokens of a request; a RowError fails that request alone.
        lay: puts rows into batches that know the places of their rows.
    """
    import torch

    from itune_torch import logprobs

    encoded: list[Encoded | Failed] = []
    for request in requests:
        try:
            encoded.append(encode(request))
        except RowError as error:
            encoded.append(Failed.of(error))
    rows = [row for row in encoded if not isinstance(row, Failed)]

    def run(batch: Any) -> list[list[float]]:
        with torch.inference_mode():
            return by_row(batch, logprobs(model, batch.to(model.device)).tolist())

    laid: Any = lay(rows)
    found = in_order(laid, run)
    for row in encoded:
        yield row if isinstance(row, Failed) else TokenLogProbs(next(found))


def batches(
    rows: Sequence[Encoded],
    together: Sequence[int] | None = None,
    *,
    budget: Budget,
    isolated: bool,
    shares: bool = False,
) -> list[Batch]:
    """The rows in order, joined if the model keeps joined rows apart; else padded, those of like length together.

    Args:
        rows: encoded rows.
        together: how many rows in a row begin alike; what they have in common is read once, if the model `shares`.
        budget: of rows that are padded.
        isolated: whether joined rows do not read each other.
        shares: whether rows may share what they begin with.
    """
    from itune_torch import lay_out, pad

    if isolated:
        return lay_out(rows, max_tokens=JOINED, together=together if shares else None)
    return padded(rows, pad, budget)


def encode(tokenizer: Any, request: LogProbs, context: int | None) -> Encoded:
    """The tokens of a request and which of them are scored.

    A completion is encoded as a trainer would encode it after its prompt, the end of its turn included. With no prompt
    it is plain text, without the chat template, and the end-of-sequence token.

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
