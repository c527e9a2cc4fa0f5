"""How likely an answer begins with each of some options."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from itune_backends.batching import by_row, in_order
from itune_core.api import Choices, Failed, LogProbs, OptionLogProbs, RowError, message

if TYPE_CHECKING:
    from itune_torch import Batch, Encoded, Seq2SeqBatch


def choose(
    model: Any,
    requests: Sequence[Choices],
    *,
    encode: Callable[[LogProbs], Encoded],
    lay: Callable[[Sequence[Encoded], Sequence[int]], Sequence[Batch] | Sequence[Seq2SeqBatch]],
) -> Iterator[OptionLogProbs | Failed]:
    """Weigh the options of `requests`, in order.

    Each option is a row that ends with the first token of that answer, so that a model which reads what rows have in
    common once reads a prompt once for all its options.

    Args:
        model: a language model in eval mode.
        requests: what to weigh.
        encode: gives the tokens of an option as the whole answer; a RowError fails that request alone.
        lay: puts rows into batches that know the places of their rows; its second argument says how many rows in a row
            have a prompt in common.
    """
    import torch

    from itune_torch import logprobs

    encoded: list[list[Encoded] | Failed] = []
    for request in requests:
        try:
            encoded.append(first_tokens(request, encode))
        except RowError as error:
            encoded.append(Failed.of(error))
    found = [rows for rows in encoded if not isinstance(rows, Failed)]

    def run(batch: Any) -> list[list[float]]:
        with torch.inference_mode():
            return by_row(batch, logprobs(model, batch.to(model.device), precise=True).tolist())

    batches: Any = lay([row for rows in found for row in rows], [len(rows) for rows in found])
    values = in_order(batches, run)
    for rows in encoded:
        yield rows if isinstance(rows, Failed) else OptionLogProbs([next(values)[0] for _ in rows])


def one_by_one(request: Choices) -> list[LogProbs]:
    """Each option by itself, as the whole answer."""
    return [
        LogProbs(request.model, request.prompt, [message("assistant", option)], request.max_length)
        for option in request.options
    ]


def first_tokens(request: Choices, encode: Callable[[LogProbs], Encoded]) -> list[Encoded]:
    """Of each option a row with the prompt and the first token of the answer, which alone is to be known.

    Raises:
        RowError: ``E-BACKEND-006`` two options begin with the same token, or one is blank; and those of `encode`.
    """
    from itune_torch import Encoded

    if not all(map(str.strip, request.options)):
        raise RowError("an option to choose is blank", "E-BACKEND-006", fix="name every option")
    rows: list[Encoded] = []
    seen: dict[int, str] = {}
    for option, whole in zip(request.options, map(encode, one_by_one(request)), strict=True):
        place = whole.trained.index(True)
        token = whole.ids[place]
        if token in seen:
            raise RowError(
                f"the options {seen[token]!r} and {option!r} begin with the same token",
                "E-BACKEND-006",
                why="only the first token of an answer is looked at",
                fix="choose options that differ at their beginning",
            )
        seen[token] = option
        rows.append(Encoded(whole.ids[: place + 1], [False] * place + [True]))
    return rows
