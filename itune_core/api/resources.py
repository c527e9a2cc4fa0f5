"""Base classes of what a step is lent: backends, which answer for models, and executors, which carry work out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, ClassVar

from pydantic import Field

from itune_core.api.asking import (
    Answer,
    AnswerRewards,
    Ask,
    Choices,
    Embed,
    LogProbs,
    OptionLogProbs,
    Reply,
    Request,
    Rewards,
    Spent,
    TokenLogProbs,
    Vectors,
)
from itune_core.api.components import Component
from itune_core.api.fields import ComponentConfig
from itune_core.api.models import ModelSource
from itune_core.api.outcomes import Failed


class Backend(Component):
    """A language model that answers requests (entry-point group ``itune.backends``).

    Lives from the first request of a step to its end. It has one of two forms:

    - it computes: requests come in batches, to :meth:`generate`, :meth:`logprobs`, :meth:`choices`, :meth:`rewards` or
      :meth:`embed`, and the replies go back in the same order, :class:`Failed` in the place of what could not be
      answered;
    - it waits for somebody who does (``concurrent``): every request that is open is handed to :meth:`submit`, and what
      comes of it is kept the moment it is there, in whatever order. The methods for batches are made of it.

    Attributes:
        needs_weights: whether it loads the model itself (then ``open`` gets its source) or asks a server.
        concurrent: whether it is asked by :meth:`submit`.
        spent: what answers of this model have cost in this project before, in this run or another; set before
            :meth:`open`, for those that keep within a budget.
    """

    stage = "backends"
    inputs = {}
    outputs = ()
    needs_weights: ClassVar[bool] = True
    concurrent: ClassVar[bool] = False
    spent: Spent = Spent()

    class Config(ComponentConfig):
        """Settings of an entry under ``models:`` that every backend has."""

        model: str = Field(description="embedded:NAME, a hub id, a local folder, or the name a server knows.")
        revision: str | None = Field(
            None, description="Commit or tag of a hub model; unset: the newest, shown as unpinned."
        )

    def served_identity(self) -> str:
        """What pins a model that is served by somebody else, as far as it can be: name, revision, address."""
        raise TypeError(f"{type(self).__name__} loads its weights itself")

    def open(self, source: ModelSource | None) -> None:
        """Get ready: load the weights, or reach the server."""

    def close(self) -> None:
        """Free what :meth:`open` took."""

    def render(self, request: Ask | LogProbs | Choices | Rewards, source: ModelSource | None) -> str:
        """The text that the model would see, without loading its weights; roles in brackets where a server renders. Of
        several completions, with the first."""
        if isinstance(request, Ask):
            turns = request.messages
        elif isinstance(request, Choices):
            turns = request.prompt
        else:
            completion = request.completion if isinstance(request, LogProbs) else request.completions[0]
            turns = [*request.prompt, *completion]
        return "\n".join(f"[{turn['role']}] {turn['content']}" for turn in turns)

    def submit(self, request: Request, seed: int) -> Future[Reply | Failed]:
        """Begin to answer one request: an `Ask` for one draw, `Rewards` of one completion, an `Embed` of one text.

        The result is the reply, or :class:`Failed` where the request will not be answered whoever asks again now. An
        :class:`~itune_core.api.errors.ItuneError` raised by the future ends the step (a wrong key, a budget that is
        spent). A backend that cannot go on fails all it has not sent.

        Args:
            request: what is asked.
            seed: of the draw.
        """
        raise TypeError(f"{type(self).__name__} does not answer {type(request).__name__} requests")

    def drain(self) -> None:
        """Send nothing more; does not wait.

        Called before :meth:`close` where a step ends with requests under way, by an error or an interruption, which
        may have nothing to do with this model. Futures of what was sent end as they would have, within the time-outs:
        they are waited for and kept. Those of what was not, or would have to be sent again, end at once, cancelled or
        with any error. A backend without this is waited for until it has answered all.
        """

    def charged(self) -> Spent:
        """What has been spent since this was last asked, on answers and on attempts; kept with the project."""
        return Spent()

    def figures(self) -> Mapping[str, float]:
        """What a person who waits wants to know, by name: requests, retries, cost. Shown and written to the events."""
        return {}

    def generate(self, requests: Sequence[tuple[Ask, Sequence[int]]]) -> Iterable[Answer | Failed]:
        """Answer each `Ask`; its second part is one seed per draw wanted."""
        drawn = [
            [self.submit(replace(ask, n=1), seed) for seed in (seeds if ask.temperature else seeds[:1])]
            for ask, seeds in requests
        ]
        return (_answer(futures, len(seeds)) for futures, (_, seeds) in zip(drawn, requests, strict=True))

    def logprobs(self, requests: Sequence[LogProbs]) -> Iterable[TokenLogProbs | Failed]:
        """Score each request's completion tokens."""
        return self._submitted(requests)

    def choices(self, requests: Sequence[Choices]) -> Iterable[OptionLogProbs | Failed]:
        """Say how likely each request's answer begins with each option."""
        return self._submitted(requests)

    def rewards(self, requests: Sequence[Rewards]) -> Iterable[AnswerRewards | Failed]:
        """Judge each request's completions."""
        return self._submitted(requests)

    def embed(self, requests: Sequence[Embed]) -> Iterable[Vectors | Failed]:
        """Embed each request's texts."""
        return self._submitted(requests)

    def _submitted(self, requests: Sequence[Any]) -> Iterator[Any]:
        futures = [self.submit(request, 0) for request in requests]
        return (future.result() for future in futures)


def _answer(drawn: Sequence[Future[Any]], count: int) -> Answer | Failed:
    """The answer of `count` draws; one that was drawn greedily stands for all."""
    replies: list[Answer | Failed] = [future.result() for future in drawn]
    failed = next((reply for reply in replies if isinstance(reply, Failed)), None)
    completions = [reply.completions[0] for reply in replies if isinstance(reply, Answer)]
    return failed or Answer([completions[number % len(completions)] for number in range(count)])


class Executor(Component):
    """Carries per-row work (entry-point group ``itune.executors``): other processes, a cluster."""

    stage = "executors"
    inputs = {}
    outputs = ()

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any | Failed]:
        """`function` of every item, in order; where it raises a ``RowError``, :class:`Failed` in its place."""
        raise TypeError(f"{type(self).__name__} must define map()")
