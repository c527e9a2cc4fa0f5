"""How a component asks a model without doing I/O.

A component method that needs a model is a plain generator: it yields one of the requests below and receives its
answer. The engine advances the generators of many records together and answers what they ask from the journal, then
from the backend, in one batch or concurrently. So retries, caching, cost and resumption are written once, and the
component can be tested by sending it answers by hand::

    def generate(self, record, rng):
        answer = yield Ask(self.config.model, record["prompt"])
        yield Created(conversation([*record["prompt"], message("assistant", answer.text)]), parents=[record["id"]])

A request that cannot be answered raises :class:`~itune_core.api.errors.RowError` *inside* the generator at the
``yield``: a component that has something better to do catches it, otherwise the record ends as failed.

Requests that do not depend on one another are yielded as a list, and answered together. Then nothing is raised: the
replies are a list in the same order, with :class:`~itune_core.api.outcomes.Failed` in the place of what could not be
answered::

    one, other = yield [Ask(judge, in_order), Ask(judge, swapped)]
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Message = Mapping[str, Any]
"""One turn, a mapping with the fields of :data:`itune_core.api.records.MESSAGE`."""


@dataclass(frozen=True)
class Ask:
    """Ask a model to continue a conversation.

    Args:
        model: name of a model or of a training step in the recipe (the value of a ``ModelRef`` field).
        messages: the conversation so far; ends with a user, tool or system turn.
        n: how many answers to draw. Each draw has its own seed and its own journal entry.
        max_tokens: most new tokens a draw may have.
        temperature: 0 is greedy.
        top_p: nucleus mass, in (0, 1].
        stop: strings that end an answer; not part of its text.
        top_k: draw from so many of the likeliest tokens; 0: from all.
        presence_penalty: what is taken from the logit of every token that the answer holds already.
        schema: a JSON schema to hold the answer to. A backend that cannot leaves it be: read the answer as if it had.
    """

    model: str
    messages: Sequence[Message]
    n: int = 1
    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    stop: Sequence[str] = ()
    top_k: int = 0
    presence_penalty: float = 0.0
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class LogProbs:
    """Ask a causal model for the log-probability of each token of `completion` given `prompt`.

    Args:
        model: name of a model or of a training step.
        prompt: messages; may be empty, which scores the completion unconditionally.
        completion: messages whose tokens are scored, the end-of-turn token included.
        max_length: most tokens of prompt and completion together; a longer record is a
            :class:`~itune_core.api.errors.RowError`, nothing is cut.
    """

    model: str
    prompt: Sequence[Message]
    completion: Sequence[Message]
    max_length: int = 2048


@dataclass(frozen=True)
class Choices:
    """Ask how likely a model begins its answer with each of some options: "yes" or "no", a digit, the name of a side.

    Args:
        model: name of a language model or of a training step.
        prompt: messages; ends with a user, tool or system turn.
        options: texts whose first tokens differ; two that begin with the same token, and an empty one, are a
            :class:`~itune_core.api.errors.RowError`.
        max_length: most tokens of prompt and option together; a longer record is a
            :class:`~itune_core.api.errors.RowError`, nothing is cut.
    """

    model: str
    prompt: Sequence[Message]
    options: Sequence[str]
    max_length: int = 2048


@dataclass(frozen=True)
class Rewards:
    """Ask a reward model how good each of some answers to one prompt is.

    Args:
        model: name of a reward model or of a step that trains one.
        prompt: messages; ends with a user, tool or system turn.
        completions: the answers, each a list of messages; every answer is judged by itself and has its own journal
            entry, so that more answers to the same prompt cost only what is new.
        max_length: most tokens of prompt and one completion together; a longer record is a
            :class:`~itune_core.api.errors.RowError`, nothing is cut.
    """

    model: str
    prompt: Sequence[Message]
    completions: Sequence[Sequence[Message]]
    max_length: int = 2048


@dataclass(frozen=True)
class Embed:
    """Ask an embedding model for one unit-length vector per text."""

    model: str
    texts: Sequence[str]


Request = Ask | LogProbs | Choices | Rewards | Embed


@dataclass(frozen=True)
class Completion:
    """One drawn answer. `finish` is ``"stop"`` (ended by itself or by a stop string) or ``"length"``."""

    text: str
    finish: str
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class Answer:
    """What an :class:`Ask` receives: `n` completions. ``answer.text`` is the first one's text."""

    completions: Sequence[Completion]

    @property
    def text(self) -> str:
        return self.completions[0].text

    @property
    def texts(self) -> list[str]:
        return [completion.text for completion in self.completions]


@dataclass(frozen=True)
class TokenLogProbs:
    """What a :class:`LogProbs` receives: natural-log probabilities, one per token of the completion."""

    values: Sequence[float]

    @property
    def sum(self) -> float:
        return math.fsum(self.values)

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class OptionLogProbs:
    """What a :class:`Choices` receives: of each option the natural-log probability of its first token as the first of
    the answer, over the whole vocabulary. What is missing to a sum of 1 went to answers that were not offered."""

    values: Sequence[float]

    @property
    def shares(self) -> list[float]:
        """Probability of each option given that it is one of them; they sum to 1."""
        largest = max(self.values)
        weights = [math.exp(value - largest) for value in self.values]
        total = math.fsum(weights)
        return [weight / total for weight in weights]

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class AnswerRewards:
    """What a :class:`Rewards` receives: one number per completion, larger is better. Only differences between answers
    to one prompt mean something: a reward model is trained on nothing else."""

    values: Sequence[float]

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Vectors:
    """What an :class:`Embed` receives: ``len(texts)`` vectors of equal dimension, each of length 1."""

    values: Sequence[Sequence[float]]


Reply = Answer | TokenLogProbs | OptionLogProbs | AnswerRewards | Vectors


@dataclass(frozen=True)
class Spent:
    """What answers have cost: tokens read and tokens written."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.prompt_tokens + other.prompt_tokens, self.completion_tokens + other.completion_tokens)
