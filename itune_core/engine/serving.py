"""Answers requests: from the journal where it can, else from a backend, whose every answer enters the journal first."""

from __future__ import annotations

import sys
from array import array
from base64 import b64decode, b64encode
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from itune_core.api.asking import (
    Answer,
    AnswerRewards,
    Ask,
    Choices,
    Completion,
    Embed,
    LogProbs,
    Message,
    OptionLogProbs,
    Reply,
    Request,
    Rewards,
    TokenLogProbs,
    Vectors,
)
from itune_core.api.models import ModelSource
from itune_core.api.outcomes import Failed
from itune_core.api.resources import Backend
from itune_core.engine.asking import Question
from itune_core.engine.errors import RunError
from itune_core.engine.journal import Journal
from itune_core.engine.memory import release


@dataclass(frozen=True)
class Served:
    """A model that can be asked.

    Attributes:
        backend: with its settled config, not yet open.
        source: where its weights are; None for a served one.
        identity: of model and settings, as it stands in journal keys.
    """

    backend: Backend
    source: ModelSource | None
    identity: str


@dataclass
class _Item:
    """One entry of the journal that a wave needs: a draw, a scored or judged completion, an embedded text."""

    key: str
    question: Mapping[str, Any]
    request: Request
    seed: int = 0
    reply: Any = None


KEPT_OPEN = 2
"""Models that one step holds in memory at a time: one that answers and one that judges, say. An evaluator goes through
its models one after the other, and those it is done with make room."""


class Serving:
    """The opened models of one step.

    Args:
        find: the model of a name; called at its first request.
        journal: where answers are kept.
        seed: a draw's seed from (dialogue key, turn, draw number).
    """

    def __init__(self, find: Callable[[str], Served], journal: Journal, seed: Callable[[str, int, int], int]) -> None:
        self._find, self._journal, self._seed = find, journal, seed
        self._open: dict[str, Served] = {}
        self._loaded: list[str] = []  # the one asked last stands last
        self.asked = self.recalled = 0

    def close(self) -> None:
        """Close every backend that was opened."""
        for name in self._loaded:
            self._open[name].backend.close()
        self._open.clear()
        self._loaded.clear()

    def answer(self, wave: Sequence[Question]) -> list[Reply | Failed]:
        """Replies to a wave of questions, in order."""
        needed: list[list[_Item]] = [self._items(question) for question in wave]
        groups: dict[tuple[str, type], dict[str, _Item]] = defaultdict(dict)
        for items in needed:
            for item in items:
                groups[item.request.model, type(item.request)].setdefault(item.key, item)
        found: dict[str, Any] = {}
        for (model, kind), group in groups.items():
            known = self._journal.get(list(group))
            self.recalled += len(known)
            found.update(known)
            missing = [item for key, item in group.items() if key not in known]
            if missing:
                found.update(self._ask(model, kind, missing))
        return [
            _assemble(question.request, [found[item.key] for item in items])
            for question, items in zip(wave, needed, strict=True)
        ]

    def _served(self, model: str) -> Served:
        if model not in self._open:
            self._open[model] = self._find(model)
        return self._open[model]

    def _items(self, question: Question) -> list[_Item]:
        request = question.request
        identity = self._served(request.model).identity
        items = []
        for parts, seed in _questions(question, self._seed):
            items.append(_Item(Journal.key(identity, parts), parts, request, seed))
        return items

    def _ask(self, model: str, kind: type, items: Sequence[_Item]) -> dict[str, Any]:
        served = self._served(model)
        if model in self._loaded:
            self._loaded.remove(model)
        else:
            if len(self._loaded) == KEPT_OPEN:
                self._open[self._loaded.pop(0)].backend.close()
            release()
            served.backend.open(served.source)
        self._loaded.append(model)
        found: dict[str, Any] = {}
        for item, answer in zip(items, _replies(served.backend, kind, items), strict=True):
            if isinstance(answer, Failed):
                found[item.key] = answer
                continue
            self._journal.put([(item.key, served.identity, item.question, answer)])
            self.asked += 1
            found[item.key] = answer
        if len(found) != len(items):
            raise RunError("E-RUN-020", f"the backend of {model!r} gave {len(found)} replies to {len(items)} requests")
        return found


def _plain(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Messages as the model sees them: without empty fields and training flags."""
    return [
        {k: turn[k] for k in ("role", "content", "name", "tool_calls") if turn.get(k) is not None} for turn in messages
    ]


def _questions(question: Question, seed: Callable[[str, int, int], int]) -> list[tuple[dict[str, Any], int]]:
    """The journal questions of a request, with the seed of each."""
    request = question.request
    # A row that is too long fails and is not kept. Were the limit not part of the question, what was answered under a
    # larger one would be found under a smaller one, and the same recipe give more here than elsewhere.
    limit = {"max_length": request.max_length} if isinstance(request, (LogProbs, Choices, Rewards)) else {}
    if isinstance(request, LogProbs):
        return [({"logprobs": [_plain(request.prompt), _plain(request.completion)], **limit}, 0)]
    if isinstance(request, Choices):
        return [({"choices": [_plain(request.prompt), list(request.options)], **limit}, 0)]
    if isinstance(request, Rewards):
        prompt = _plain(request.prompt)
        return [({"reward": [prompt, _plain(completion)], **limit}, 0) for completion in request.completions]
    if isinstance(request, Embed):
        return [({"vector": text}, 0) for text in request.texts]
    asked = {
        "ask": _plain(request.messages),
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "stop": list(request.stop),
    }
    if request.temperature == 0:  # greedy: every draw is the same one
        return [(asked, 0)] * request.n
    seeds = [seed(question.key, question.turn, draw) for draw in range(request.n)]
    return [({**asked, "draw": draw, "seed": number}, number) for draw, number in enumerate(seeds)]


def _replies(backend: Backend, kind: type, items: Sequence[_Item]) -> Iterable[Any]:
    """What the backend answers to items of one kind, as JSON values or failures, one an item."""
    if kind is Ask:
        for reply in backend.generate([(item.request, (item.seed,)) for item in items]):  # type: ignore[misc]
            yield reply if isinstance(reply, Failed) else vars(reply.completions[0])
    elif kind is LogProbs:
        for scored in backend.logprobs([item.request for item in items]):  # type: ignore[misc]
            yield scored if isinstance(scored, Failed) else list(scored.values)
    elif kind is Choices:
        for weighed in backend.choices([item.request for item in items]):  # type: ignore[misc]
            yield weighed if isinstance(weighed, Failed) else list(weighed.values)
    elif kind is Rewards:
        for judged in backend.rewards([_with_one_completion(item) for item in items]):
            yield judged if isinstance(judged, Failed) else judged.values[0]
    else:
        texts = [Embed(item.request.model, (item.question["vector"],)) for item in items]
        for vectors in backend.embed(texts):
            yield vectors if isinstance(vectors, Failed) else _packed(vectors.values[0])


def _with_one_completion(item: _Item) -> Rewards:
    """The request with the completion alone that this entry is about."""
    prompt, completion = item.question["reward"]
    return Rewards(item.request.model, prompt, (completion,), item.request.max_length)  # type: ignore[union-attr]


def _assemble(request: Request, answers: Sequence[Any]) -> Reply | Failed:
    for answer in answers:
        if isinstance(answer, Failed):
            return answer
    if isinstance(request, Ask):
        return Answer(tuple(Completion(**answer) for answer in answers))
    if isinstance(request, LogProbs):
        return TokenLogProbs(answers[0])
    if isinstance(request, Choices):
        return OptionLogProbs(answers[0])
    if isinstance(request, Rewards):
        return AnswerRewards(answers)
    return Vectors([_unpacked(answer) for answer in answers])


def _packed(vector: Sequence[float]) -> str:
    """A vector as the journal keeps it: float32, which is what models give, in a quarter of the space of digits."""
    numbers = array("f", vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return b64encode(numbers.tobytes()).decode("ascii")


def _unpacked(text: str) -> array[float]:
    numbers = array("f")
    numbers.frombytes(b64decode(text))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
