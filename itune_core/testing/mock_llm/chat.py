"""A chat completion: the answer as a function of the question, and its wire form."""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from itune_core.testing.mock_llm.instances import SchemaError, instance
from itune_core.testing.mock_llm.prose import tokens, write
from itune_core.testing.mock_llm.question import Question
from itune_core.testing.mock_llm.refusal import Refused
from itune_core.testing.mock_llm.scripted import Rule, Script

RIVALS = (*"0123456789ABCD", "yes", "no", "Yes", "No", "true", "false")
"""Alternatives to any token: among them what judges are asked to choose from."""


@dataclass(frozen=True)
class Draw:
    """One answer: its tokens, how it ended, and of each token the log-probability and its alternatives'."""

    tokens: Sequence[str]
    finish: str
    logprobs: Sequence[Mapping[str, float]] | None

    @property
    def text(self) -> str:
        return "".join(self.tokens)


def answer(question: Question, script: Script) -> list[Draw]:
    """The answers to `question`, a function of it and of `script`.

    Raises:
        Refused: no instance of its schema can be found, or it is nested too deep.
    """
    rule = script.find(question.last_turn)
    return [_draw(question, rule, 0 if question.greedy else number) for number in range(question.n)]


def _draw(question: Question, rule: Rule | None, number: int) -> Draw:
    rng = random.Random(question.digest + b"%d" % number)
    if rule is not None:
        text = rule.draw(rng, question.greedy)
    elif question.schema is not None:
        try:
            text = json.dumps(instance(question.schema, rng), ensure_ascii=False)
        except SchemaError as error:
            raise Refused(400, f"invalid schema: {error}", "response_format") from None
    elif question.json:
        text = json.dumps({"answer": write(rng, question.last_turn)}, ensure_ascii=False)
    else:
        text = write(rng, question.last_turn)
    ends = [place for stop in question.stop if (place := text.find(stop)) >= 0]
    drawn = tokens(text[: min(ends)] if ends else text)
    longest = question.max_tokens
    finish = "stop" if longest is None or len(drawn) <= longest else "length"
    drawn = drawn[:longest]
    top = question.top_logprobs
    logprobs = None if top is None else _logprobs(rng, drawn, top, rule if rule and rule.weighted else None)
    return Draw(drawn, finish, logprobs)


def _logprobs(rng: random.Random, drawn: Sequence[str], top: int, rule: Rule | None) -> list[Mapping[str, float]]:
    """Of each token its own log-probability first, then those of `top` tokens, likeliest first."""
    found: list[Mapping[str, float]] = []
    first = _first_tokens(rule) if rule is not None else {}
    for number, token in enumerate(drawn):
        if number == 0 and token in first:
            shares = first
        else:
            left = 1 - (own := 0.5 + 0.45 * rng.random())
            shares = {token: own}
            for rival in rng.sample(RIVALS, min(top, len(RIVALS))):
                if rival != token:  # each has half of what the others leave: together less than 1
                    left /= 2
                    shares[rival] = left
        ranked = sorted(shares, key=lambda name: -shares[name])[:top]
        found.append({name: math.log(shares[name]) for name in [token, *(name for name in ranked if name != token)]})
    return found


def _first_tokens(rule: Rule) -> dict[str, float]:
    """The probability that an answer of `rule` begins with a token."""
    shares: dict[str, float] = {}
    for text, share in rule.answers.items():
        for token in tokens(text)[:1]:
            shares[token] = shares.get(token, 0) + share
    return shares


def completion(question: Question, draws: Sequence[Draw]) -> dict[str, Any]:
    """The body of the response."""
    return {
        **_frame(question, "chat.completion"),
        "choices": [
            {
                "index": number,
                "message": {"role": "assistant", "content": draw.text, "refusal": None},
                "logprobs": _told(draw.tokens, draw.logprobs, question.top_logprobs),
                "finish_reason": draw.finish,
            }
            for number, draw in enumerate(draws)
        ],
        "usage": usage(question, draws),
    }


def chunks(question: Question, draws: Sequence[Draw]) -> list[dict[str, Any]]:
    """The same as a stream: of each answer its role, its tokens one by one, its end."""
    frame = _frame(question, "chat.completion.chunk")
    rest: dict[str, Any] = {"usage": None} if question.usage else {}

    def one(index: int, delta: Any, logprobs: Any = None, finish: str | None = None) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return {**frame, "choices": [choice], **rest}

    events = [one(index, {"role": "assistant", "content": ""}) for index in range(len(draws))]
    for index, draw in enumerate(draws):
        for place, token in enumerate(draw.tokens):
            logprobs = None if draw.logprobs is None else draw.logprobs[place : place + 1]
            events.append(one(index, {"content": token}, _told([token], logprobs, question.top_logprobs)))
        events.append(one(index, {}, finish=draw.finish))
    if question.usage:
        events.append({**frame, "choices": [], "usage": usage(question, draws)})
    return events


def usage(question: Question, draws: Sequence[Draw]) -> dict[str, int]:
    """Tokens of the question, of the answers and together."""
    prompt, drawn = question.prompt_tokens, sum(len(draw.tokens) for draw in draws)
    return {"prompt_tokens": prompt, "completion_tokens": drawn, "total_tokens": prompt + drawn}


def _frame(question: Question, kind: str) -> dict[str, Any]:
    named = f"chatcmpl-{question.digest.hex()}"
    return {"id": named, "object": kind, "created": int(time.time()), "model": question.model}


def _told(drawn: Sequence[str], logprobs: Sequence[Mapping[str, float]] | None, top: int | None) -> Any:
    if logprobs is None:
        return None
    told = []
    for token, known in zip(drawn, logprobs, strict=True):
        ranked = sorted(known, key=lambda name: -known[name])[:top]
        told.append({**_one_token(token, known[token]), "top_logprobs": [_one_token(t, known[t]) for t in ranked]})
    return {"content": told, "refusal": None}


def _one_token(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}
