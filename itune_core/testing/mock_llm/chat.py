"""A chat completion: the question as it is read, the answer as a function of it, and the answer's wire form."""

from __future__ import annotations

import hashlib
import json
import math
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from itune_core.testing.mock_llm.instances import SchemaError, instance
from itune_core.testing.mock_llm.prose import tokens, write
from itune_core.testing.mock_llm.refusal import Refused, integer
from itune_core.testing.mock_llm.scripted import Rule, Script

MAX_DRAWS = 128
MAX_TOP = 20
"""Of OpenAI's API: most answers to a question, most alternatives to a token."""

SAMPLING = ("temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty")
"""Settings that another answer is drawn under. Of greedy answers none matters, nor does the seed."""

RIVALS = (*"0123456789ABCD", "yes", "no", "Yes", "No", "true", "false")
"""Alternatives to any token: among them what judges are asked to choose from."""


@dataclass(frozen=True)
class Question:
    """The body of a request for a chat completion, read and checked."""

    model: str
    messages: Sequence[Mapping[str, Any]]
    n: int
    max_tokens: int | None
    stop: Sequence[str]
    sampling: Mapping[str, float]
    seed: int
    top_logprobs: int | None
    schema: Any
    json: bool
    stream: bool
    usage: bool

    @classmethod
    def read(cls, body: bytes) -> Question:
        """The question in `body`.

        Raises:
            Refused: it is none.
        """
        try:
            given = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise Refused(400, f"the body is not JSON: {error}") from None
        if not isinstance(given, dict):
            raise Refused(400, "the body is no JSON object")
        schema, as_json = _response_format(given.get("response_format"))
        stop = given.get("stop") or []
        stop = [stop] if isinstance(stop, str) else stop
        if not isinstance(stop, list) or not all(isinstance(text, str) and text for text in stop):
            raise Refused(400, "it is a text or a list of texts", "stop")
        sampling = {name: given[name] for name in SAMPLING if given.get(name) is not None}
        for name, value in sampling.items():
            if not isinstance(value, (int, float)):
                raise Refused(400, "it is a number", name)
        if sampling.get("temperature", 1) < 0:
            raise Refused(400, "it is from 0 on", "temperature")
        streaming = given.get("stream_options") or {}
        if not isinstance(streaming, dict):
            raise Refused(400, "it is an object", "stream_options")
        top = integer(given, "top_logprobs", 0, 0, MAX_TOP)
        if top and not given.get("logprobs"):
            raise Refused(400, "it needs `logprobs`", "top_logprobs")
        longest = "max_completion_tokens" if given.get("max_completion_tokens") is not None else "max_tokens"
        return cls(
            model=_model(given),
            messages=_messages(given.get("messages")),
            n=integer(given, "n", 1, 1, MAX_DRAWS) or 1,
            max_tokens=integer(given, longest, None, 1, None),
            stop=stop,
            sampling=sampling,
            seed=integer(given, "seed", 0, None, None) or 0,
            top_logprobs=top if given.get("logprobs") else None,
            schema=schema,
            json=as_json,
            stream=bool(given.get("stream")),
            usage=bool(streaming.get("include_usage")),
        )

    @property
    def greedy(self) -> bool:
        return self.sampling.get("temperature", 1) == 0

    @cached_property
    def digest(self) -> bytes:
        """Of all that decides on the answer: the same text begins it whatever its longest length or its stops.

        Raises:
            Refused: it is nested deeper than can be written.
        """
        drawn = () if self.greedy else (self.sampling, self.seed)
        parts = [self.model, self.messages, *drawn, self.schema, self.json]
        try:
            told = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)
        except orjson.JSONEncodeError:  # it writes fewer levels than it reads
            raise Refused(400, "messages or schema are nested too deep") from None
        return hashlib.blake2b(told, digest_size=16).digest()

    @cached_property
    def last_turn(self) -> str:
        """The text of the last user turn; nothing if there is none."""
        turns = [item for item in self.messages if item["role"] == "user"]
        return _text(turns[-1]) if turns else ""

    @cached_property
    def prompt_tokens(self) -> int:
        return sum(len(tokens(_text(item))) for item in self.messages)


def _model(given: Mapping[str, Any]) -> str:
    model = given.get("model")
    if not isinstance(model, str) or not model:
        raise Refused(400, "you must provide a model", "model")
    return model


def _messages(given: Any) -> Sequence[Mapping[str, Any]]:
    if not isinstance(given, list) or not given:
        raise Refused(400, "it is a list with a message or more", "messages")
    for item in given:
        if not isinstance(item, dict) or not isinstance(item.get("role"), str):
            raise Refused(400, "a message has a role", "messages")
        _text(item)
    return given


def _text(item: Mapping[str, Any]) -> str:
    """The text of a message, that of its parts one after the other."""
    content = item.get("content")
    if content is None or isinstance(content, str):
        return content or ""
    parts = content if isinstance(content, list) else [None]
    texts = [part.get("text") if isinstance(part, dict) else None for part in parts]
    if not all(isinstance(text, str) for text in texts):
        raise Refused(400, "content is a text or a list of parts with texts", "messages")
    return "".join(map(str, texts))


def _response_format(given: Any) -> tuple[Any, bool]:
    """The schema that the answer must be an instance of (None: there is none), and whether it must be JSON."""
    if given is None:
        return None, False
    kind = given.get("type") if isinstance(given, dict) else None
    if kind == "json_schema":
        named = given.get("json_schema")
        if not isinstance(named, dict) or not isinstance(named.get("schema"), dict):
            raise Refused(400, "`json_schema` holds no `schema`", "response_format")
        return named["schema"], True
    if kind not in ("json_object", "text"):
        raise Refused(400, "its type is json_schema, json_object or text", "response_format")
    return None, kind == "json_object"


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
