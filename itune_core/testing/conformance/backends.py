"""Conformance of backends."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal

from itune_core.api.asking import (
    Answer,
    AnswerRewards,
    Ask,
    Choices,
    Embed,
    LogProbs,
    OptionLogProbs,
    Rewards,
    TokenLogProbs,
    Vectors,
)
from itune_core.api.errors import ItuneError
from itune_core.api.models import Architecture, ModelSource
from itune_core.api.outcomes import Failed
from itune_core.api.records import Kind, Record, message
from itune_core.api.resources import Backend
from itune_core.testing.comparing import Numeric, difference, plain
from itune_core.testing.conformance.component import Conformance
from itune_core.testing.sample_records import samples
from itune_core.testing.subject import Subject
from itune_core.testing.verdict import does_not_apply, fail

Ability = Literal["generate", "logprobs", "choices", "rewards", "embed"]
REPLY: dict[str, type] = {
    "generate": Answer,
    "logprobs": TokenLogProbs,
    "choices": OptionLogProbs,
    "rewards": AnswerRewards,
    "embed": Vectors,
}
MODEL = "tiny"
TOKENS = 8
"""Most new tokens of an answer."""


class BackendSubject(Subject):
    """A backend, with requests of every kind."""

    @cached_property
    def models(self) -> dict[str, ModelSource]:
        if not self.loaded.needs_weights:
            return {}
        judges = list(self.abilities) == ["rewards"]
        folder = self.fixture("tiny_reward_folder" if judges else "tiny_folder")
        architecture: Architecture = "reward" if judges else "causal"
        return {MODEL: ModelSource(folder, "transformers", "tiny", str(folder), architecture=architecture)}

    @cached_property
    def settings(self) -> dict[str, Any]:
        return {"model": MODEL, **super().settings}

    @property
    def abilities(self) -> Sequence[Ability]:
        """What is tested: as the author says, else what the class defines; rewards and vectors need models of their
        own."""
        declared: Sequence[Ability] | None = self.case.abilities
        if declared is not None:
            return declared
        own: Sequence[Ability] = ("generate", "logprobs", "choices")
        return [ability for ability in own if getattr(self.loaded, ability) is not getattr(Backend, ability)]

    def opened(self, changes: Mapping[str, Any] = {}) -> Backend:
        """A new instance, open."""
        backend: Any = self.make(changes)
        backend.open(self.models.get(MODEL))
        return backend  # type: ignore[no-any-return]

    def requests(self, ability: Ability) -> list[Any]:
        """What is asked: greedy and drawn answers, rows to score, answers to judge, texts to embed."""
        rows = list(self.case.rows) or samples(Kind.CONVERSATION)
        if ability == "logprobs":
            return [LogProbs(MODEL, row["messages"][:-1], row["messages"][-1:]) for row in rows]
        if ability == "choices":
            return [Choices(MODEL, row["messages"][:-1], ["Yes", "No"]) for row in rows]
        if ability == "rewards":
            answers = [row["messages"][-1:] for row in rows]
            return [
                Rewards(MODEL, row["messages"][:-1], [answers[number], answers[number - 1]])
                for number, row in enumerate(rows)
            ]
        if ability == "embed":
            return [Embed(MODEL, [turn["content"] for turn in row["messages"]]) for row in rows]
        asks = [_ask(row, drawn=number % 2) for number, row in enumerate(rows)]
        return [(ask, list(range(number, number + ask.n))) for number, ask in enumerate(asks)]

    def ask(self, backend: Backend, ability: Ability, requests: Sequence[Any]) -> list[Any]:
        """The replies, which must be as many as the requests."""
        method: Callable[[Sequence[Any]], Any] = getattr(backend, ability)
        replies = list(method(requests))
        if len(replies) != len(requests):
            fail(
                f"{ability}() gave {len(replies)} replies to {len(requests)} requests",
                fix="give one reply a request, in order; Failed in the place of what cannot be answered",
            )
        return replies


def _ask(row: Record, drawn: int) -> Ask:
    """The question of a conversation: two draws of its answer, or the greedy one."""
    return Ask(MODEL, row["messages"][:-1], n=1 + drawn, max_tokens=TOKENS, temperature=float(drawn))


class BackendConformance(Conformance):
    """Tests of a backend: replies in order, each a matter of its request and seeds alone.

    A backend that loads weights is given the two-layer model. One that asks a server names it in `config`: start one in
    a fixture, or make `config` a property.

    Attributes:
        rows: conversations whose questions are asked and whose answers are scored; empty: the kit's.
        abilities: which of its methods are tested; None: ``generate``, ``logprobs`` and ``choices``, as far as it has
            them.
            ``["rewards"]`` alone is tested with a reward model of two layers.
        numeric: ``"tolerance"`` where numbers may differ by rounding between batches.
    """

    stage = "backends"
    subject_type = BackendSubject
    rows: Sequence[Record] = ()
    abilities: ClassVar[Sequence[Ability] | None] = None
    numeric: ClassVar[Numeric] = "tolerance"

    def test_it_gives_replies_of_the_right_kind(self, subject: BackendSubject) -> None:
        """An Answer with as many draws as seeds, TokenLogProbs of numbers up to 0, OptionLogProbs of probabilities that
        sum to 1 at most, AnswerRewards with a number for each
        completion, Vectors of length 1."""
        backend = subject.opened()
        for ability in subject.abilities:
            requests = subject.requests(ability)
            for request, reply in zip(requests, subject.ask(backend, ability, requests), strict=True):
                if not isinstance(reply, REPLY[ability]):
                    fail(
                        f"{ability}() replied {reply!r} to a plain request",
                        fix=f"give {REPLY[ability].__name__}; or, if it knows few questions, `rows` that it can answer",
                    )
                wrong = _wrong(request, reply)
                if wrong:
                    fail(f"{ability}(): {wrong}", fix=f"see itune_core.api.{REPLY[ability].__name__}")
        backend.close()

    def test_a_reply_does_not_depend_on_its_batch(self, subject: BackendSubject) -> None:
        """Asked one by one, backwards, and with other ``Runtime`` settings: the same replies.

        A setting with which it does not open (a device that this machine has not) counts for nothing.
        """
        backend = subject.opened()
        for ability in subject.abilities:
            requests = subject.requests(ability)
            together = plain(subject.ask(backend, ability, requests))
            ways = {
                "one by one": [subject.ask(backend, ability, [request])[0] for request in requests],
                "in the opposite order": subject.ask(backend, ability, requests[::-1])[::-1],
            }
            for change in subject.runtime_changes():
                try:
                    other = subject.opened(change)
                # Foreign code loads weights here and may raise anything; a device that is not there has no replies.
                except Exception:
                    continue
                ways[f"with {change}"] = subject.ask(other, ability, requests)
                other.close()
            for way, replies in ways.items():
                changed = difference(together, plain(replies), self.numeric)
                if changed is not None:
                    fail(
                        f"{ability}(): asked {way}, the replies are others: {changed}",
                        fix="give every draw a random stream of its own, and mask what pads a batch",
                    )
        backend.close()

    def test_it_opens_again(self, subject: BackendSubject) -> None:
        """A step with many models closes one to open another, and may come back to it."""
        backend = subject.opened()
        ability = subject.abilities[0]
        requests = subject.requests(ability)[:2]
        before = plain(subject.ask(backend, ability, requests))
        backend.close()
        backend.open(subject.models.get(MODEL))
        changed = difference(before, plain(subject.ask(backend, ability, requests)), self.numeric)
        backend.close()
        if changed is not None:
            fail(
                f"closed and opened again, it replies otherwise: {changed}", fix="let open() set all that close() frees"
            )

    def test_what_cannot_be_answered_fails_alone(self, subject: BackendSubject) -> None:
        """A request far longer than the two-layer model's context fails; its neighbours are answered as without it."""
        if not subject.loaded.needs_weights:
            does_not_apply("it asks a server, whose context the kit does not know")
        backend = subject.opened()
        for ability in [each for each in subject.abilities if each != "embed"]:
            requests = subject.requests(ability)[:2]
            before = plain(subject.ask(backend, ability, requests))
            try:
                replies = subject.ask(backend, ability, [requests[0], _too_long(ability), requests[1]])
            except ItuneError as error:
                fail(
                    f"{ability}(): one request that is too long stopped all: {error.code}: {error.what}",
                    fix="give Failed.of(error) in its place",
                    cause=error,
                )
            if not isinstance(replies[1], Failed):
                fail(
                    f"{ability}(): a request longer than the model's context was answered: {replies[1]!r}",
                    why="it was cut, or the model saw positions that it does not know",
                    fix="give Failed for it; nothing is cut without a word",
                )
            changed = difference(before, plain([replies[0], replies[2]]), self.numeric)
            if changed is not None:
                fail(f"{ability}(): a request that fails changes the replies beside it: {changed}")
        backend.close()

    def test_a_served_model_says_what_pins_it(self, subject: BackendSubject) -> None:
        """The identity of a model that somebody else serves enters every key that it has a part in."""
        if subject.loaded.needs_weights:
            does_not_apply("it loads its weights itself")
        one, other = (subject.make() for _ in range(2))
        identity = one.served_identity()  # type: ignore[attr-defined]
        if not isinstance(identity, str) or not identity or identity != other.served_identity():  # type: ignore[attr-defined]
            fail(f"served_identity() gives {identity!r}", fix="give a text of model, revision and address, no secret")


def _wrong(request: Any, reply: Any) -> str | None:
    """What is wrong with a reply of the right class."""
    if isinstance(reply, Answer):
        ask, seeds = request
        if len(reply.completions) != len(seeds):
            return f"{len(reply.completions)} completions for {len(seeds)} seeds"
        for completion in reply.completions:
            if completion.finish not in ("stop", "length"):
                return f"finish is {completion.finish!r}, which is neither 'stop' nor 'length'"
            if completion.completion_tokens > ask.max_tokens:
                return f"{completion.completion_tokens} tokens where {ask.max_tokens} were allowed"
    elif isinstance(reply, TokenLogProbs):
        if not reply.values or not all(math.isfinite(value) and value <= 0 for value in reply.values):
            return "no log-probabilities, or some that are not finite or above 0"
    elif isinstance(reply, OptionLogProbs):
        if len(reply) != len(request.options) or math.fsum(map(math.exp, reply.values)) > 1 + 1e-6:
            return f"{reply.values!r} for {len(request.options)} options"
    elif isinstance(reply, AnswerRewards):
        if len(reply) != len(request.completions) or not all(map(math.isfinite, reply.values)):
            return f"{reply.values!r} for {len(request.completions)} completions"
    elif isinstance(reply, Vectors):
        lengths = [math.sqrt(math.fsum(value * value for value in vector)) for vector in reply.values]
        if len(lengths) != len(request.texts) or any(abs(length - 1) > 1e-3 for length in lengths):
            return f"{len(lengths)} vectors of lengths {lengths[:3]} for {len(request.texts)} texts"
    return None


def _too_long(ability: str) -> Any:
    turns = [message("user", "word " * 10_000)]
    if ability == "generate":
        return Ask(MODEL, turns, max_tokens=TOKENS), [0]
    answer = [message("assistant", "Yes.")]
    if ability == "rewards":
        return Rewards(MODEL, turns, [answer], max_length=1_000_000)
    if ability == "choices":
        return Choices(MODEL, turns, ["Yes", "No"], max_length=1_000_000)
    return LogProbs(MODEL, turns, answer, max_length=1_000_000)
