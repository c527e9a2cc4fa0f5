"""A real backend behind a test bench."""

from __future__ import annotations

from collections.abc import Callable

from itune_core.api.asking import Ask, Choices, LogProbs, Reply, Request, Rewards
from itune_core.api.outcomes import Failed
from itune_core.api.randomness import derive_seed
from itune_core.api.resources import Backend


def answer_with(backend: Backend, seed: int = 0) -> Callable[[Request], Reply | Failed]:
    """The ``reply`` of a :class:`~itune_core.testing.BenchContext` that asks `backend`, one request at a time.

    Args:
        backend: opened; every model name in a request means this one.
        seed: of the draws: draw number k of any request has the seed derived from (`seed`, k).
    """

    def reply(request: Request) -> Reply | Failed:
        if isinstance(request, Ask):
            return next(iter(backend.generate([(request, [derive_seed(seed, draw) for draw in range(request.n)])])))
        if isinstance(request, LogProbs):
            return next(iter(backend.logprobs([request])))
        if isinstance(request, Choices):
            return next(iter(backend.choices([request])))
        if isinstance(request, Rewards):
            return next(iter(backend.rewards([request])))
        return next(iter(backend.embed([request])))

    return reply
