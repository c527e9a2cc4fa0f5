"""Completions to rewards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from itune_backends.batching import in_order
from itune_core.api import AnswerRewards, Failed, LogProbs, Rewards, RowError

if TYPE_CHECKING:
    from itune_torch import Batch, Encoded


def judge(
    model: Any,
    requests: Sequence[Rewards],
    *,
    encode: Callable[[LogProbs], Encoded],
    lay: Callable[[Sequence[Encoded]], Sequence[Batch]],
) -> Iterator[AnswerRewards | Failed]:
    """Judge the completions of `requests`, in order, each reply as soon as its batches are done.

    Args:
        model: a reward model in eval mode.
        requests: what to judge; one that has a completion that cannot be judged fails.
        encode, lay: as in :func:`itune_backends.scoring.score`.
    """
    import torch

    from itune_torch import rewards

    encoded: list[list[Encoded] | Failed] = []
    for request in requests:
        try:
            encoded.append([encode(each) for each in one_by_one(request)])
        except RowError as error:
            encoded.append(Failed.of(error))
    rows = [row for some in encoded if not isinstance(some, Failed) for row in some]

    def run(batch: Batch) -> list[float]:
        with torch.inference_mode():
            values: list[float] = rewards(model, batch.to(model.device)).tolist()
        return values

    found = in_order(lay(rows), run)
    for some in encoded:
        yield some if isinstance(some, Failed) else AnswerRewards([next(found) for _ in some])


def one_by_one(request: Rewards) -> list[LogProbs]:
    """Each completion by itself, as what is to be encoded: a reward model reads what a language model would write."""
    return [LogProbs(request.model, request.prompt, each, request.max_length) for each in request.completions]
