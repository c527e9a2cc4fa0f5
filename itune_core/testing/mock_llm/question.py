"""A question for a chat completion, as a request's body asks it: read and checked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from itune_core.testing.mock_llm.prose import tokens
from itune_core.testing.mock_llm.refusal import Refused, integer

MAX_DRAWS = 128
MAX_TOP = 20
"""Of OpenAI's API: most answers to a question, most alternatives to a token."""

SAMPLING = ("temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty")
"""Settings that another answer is drawn under. Of greedy answers none matters, nor does the seed."""


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
