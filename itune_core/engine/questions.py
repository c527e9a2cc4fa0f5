"""What of a request enters the journal, and how: a question has one entry for each draw, completion or text.

A model's answers are kept by entry, so that more draws, more candidates and more texts cost only what is new.
"""

from __future__ import annotations

import json
import sys
from array import array
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
from itune_core.api.outcomes import Failed
from itune_core.api.resources import Backend
from itune_core.engine import digest
from itune_core.engine.journal import Journal


@dataclass(frozen=True, eq=False)
class Entry:
    """One entry of the journal that a request needs: a draw, a scored or judged completion, an embedded text.

    Attributes:
        key: in the journal.
        question: what stands there.
        request: for this entry alone.
        seed: of the draw; 0 where none is drawn.
    """

    key: str
    question: Mapping[str, Any]
    request: Request
    seed: int = 0


def fingerprint(request: Ask) -> str:
    """What tells one question from another, the number of draws aside."""
    return digest.of_value([request.model, _asked(request)])


def entries(request: Request, identity: str, seed: Callable[[str, int], int]) -> Iterator[Entry]:
    """The entries that a request needs, in the order in which :func:`assemble` wants their answers.

    Args:
        request: what is asked.
        identity: of the model.
        seed: of draw number k of a question with that digest.
    """
    # A row that is too long fails and is not kept. Were the limit not part of the question, what was answered under a
    # larger one would be found under a smaller one, and the same recipe give more here than elsewhere.
    limit = {"max_length": request.max_length} if isinstance(request, (LogProbs, Choices, Rewards)) else {}

    def entry(question: Mapping[str, Any], alone: Request = request, drawn: int = 0) -> Entry:
        whole = {**question, **limit}
        return Entry(Journal.key(identity, whole), whole, alone, drawn)

    if isinstance(request, LogProbs):
        yield entry({"logprobs": [_plain(request.prompt), _plain(request.completion)]})
    elif isinstance(request, Choices):
        yield entry({"choices": [_plain(request.prompt), list(request.options)]})
    elif isinstance(request, Rewards):
        prompt = _plain(request.prompt)
        for completion in map(_plain, request.completions):
            yield entry({"reward": [prompt, completion]}, replace(request, prompt=prompt, completions=(completion,)))
    elif isinstance(request, Embed):
        for text in request.texts:
            yield entry({"vector": text}, replace(request, texts=(text,)))
    elif request.temperature == 0:  # greedy: every draw is the same one
        yield from [entry(_asked(request), replace(request, n=1))] * request.n
    else:
        asked, alone = _asked(request), replace(request, n=1)
        content = digest.of_value(asked)
        for draw in range(request.n):
            number = seed(content, draw)
            yield entry({**asked, "draw": draw, "seed": number}, alone, number)


def _asked(request: Ask) -> dict[str, Any]:
    sampling: dict[str, Any] = {
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "stop": list(request.stop),
    }
    if request.top_k:
        sampling["top_k"] = request.top_k
    if request.presence_penalty:
        sampling["presence_penalty"] = request.presence_penalty
    if request.schema is not None:
        # As text: servers write the fields of an answer in the order of its schema, which a mapping's digest forgets.
        sampling["schema"] = json.dumps(request.schema, default=dict)
    return {"ask": _plain(request.messages), **sampling}


def _plain(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Messages as the model sees them: without empty fields and training flags."""
    return [
        {k: turn[k] for k in ("role", "content", "name", "tool_calls") if turn.get(k) is not None} for turn in messages
    ]


def compute(backend: Backend, kind: type[Request], needed: Sequence[Entry]) -> Iterable[Reply | Failed]:
    """What a backend that computes replies to entries of one kind of request, in order."""
    requests: list[Any] = [entry.request for entry in needed]
    if kind is Ask:
        return backend.generate([(entry.request, (entry.seed,)) for entry in needed])  # type: ignore[misc]
    if kind is LogProbs:
        return backend.logprobs(requests)
    if kind is Choices:
        return backend.choices(requests)
    return backend.rewards(requests) if kind is Rewards else backend.embed(requests)


def kept(reply: Reply) -> Any:
    """The answer to one entry as the journal keeps it, a JSON value."""
    if isinstance(reply, Answer):
        return vars(reply.completions[0])
    if isinstance(reply, (TokenLogProbs, OptionLogProbs)):
        return list(reply.values)
    return reply.values[0] if isinstance(reply, AnswerRewards) else _packed(reply.values[0])


def assemble(request: Request, answers: Sequence[Any]) -> Reply | Failed:
    """The reply to a request from the answers to its entries, in order: as kept, or failures, of which the first
    counts."""
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
