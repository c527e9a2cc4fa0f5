"""Requests as an OpenAI-compatible server reads them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from itune_core.api import Ask, Choices, Embed, LogProbs, Message, RowError

TOP = 20
"""Likely tokens that are asked for; what OpenAI gives at most, and vLLM unless it is started otherwise."""

SEEDS = 2**31
"""Seeds are sent below this: some servers read 32 bits."""


@dataclass(frozen=True)
class Call:
    """One request to a server.

    Attributes:
        path: below ``base_url``.
        body: of the request, JSON values.
        tokens: what it will cost at most, roughly; for limits of tokens a minute.
        seed: of the draw, sent or not: what tells apart two draws of one question.
    """

    path: str
    body: Mapping[str, Any]
    tokens: float = 0.0
    seed: int = 0


def chat(model: str, ask: Ask, seed: int, extra: Mapping[str, Any]) -> Call:
    """A question for one answer. What is at its default and no part of the standard is left out.

    Raises:
        RowError: ``E-BACKEND-034`` the tool calls of a message are no JSON.
    """
    body: dict[str, Any] = {
        "model": model,
        "messages": turns(ask.messages),
        "n": 1,
        "max_tokens": ask.max_tokens,
        "temperature": ask.temperature,
        "top_p": ask.top_p,
        "seed": seed % SEEDS,
    }
    if ask.stop:
        body["stop"] = list(ask.stop)
    if ask.presence_penalty:
        body["presence_penalty"] = ask.presence_penalty
    if ask.top_k:
        body["top_k"] = ask.top_k
    if ask.schema is not None:
        form = {"name": "answer", "schema": ask.schema, "strict": is_strict(ask.schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": form}
    return Call("chat/completions", _with(body, extra), _tokens(body["messages"]) + ask.max_tokens, seed)


def choices(model: str, request: Choices, extra: Mapping[str, Any]) -> Call:
    """A question for the likeliest first tokens of its answer."""
    body = {
        "model": model,
        "messages": turns(request.prompt),
        "n": 1,
        "max_tokens": 1,
        # Some servers report the probabilities that they draw from: these leave them as the model gave them.
        "temperature": 1.0,
        "top_p": 1.0,
        "seed": 0,
        "logprobs": True,
        "top_logprobs": TOP,
    }
    return Call("chat/completions", _with(body, extra), _tokens(body["messages"]) + 1)


def echo(model: str, request: LogProbs, extra: Mapping[str, Any]) -> Call:
    """A plain text for the log-probabilities of its own tokens."""
    text = "".join(turn["content"] for turn in request.completion)
    body = {"model": model, "prompt": text, "max_tokens": 1, "temperature": 0.0, "echo": True, "logprobs": 1}
    return Call("completions", _with(body, extra), _tokens(text) + 1)


def scored(model: str, messages: Iterable[Message], extra: Mapping[str, Any], *, whole: bool) -> Call:
    """A conversation for the log-probabilities of its own tokens, as vLLM gives them.

    Args:
        model, extra: as configured.
        messages: the conversation.
        whole: it is complete; not so: the beginning of an answer is put behind it.
    """
    body = {
        "model": model,
        "messages": turns(messages),
        "max_tokens": 1,
        "temperature": 0.0,
        "prompt_logprobs": 0,
        "add_generation_prompt": not whole,
    }
    return Call("chat/completions", _with(body, extra), _tokens(body["messages"]) + 1)


def embeddings(model: str, request: Embed, extra: Mapping[str, Any]) -> Call:
    """Texts for their vectors."""
    body = {"model": model, "input": list(request.texts), "encoding_format": "float"}
    return Call("embeddings", _with(body, extra), _tokens(body["input"]))


def turns(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Messages without what a server does not know: training flags, fields that are not set.

    Raises:
        RowError: ``E-BACKEND-034`` the tool calls of a message are no JSON.
    """
    made = []
    for message in messages:
        turn = {name: message[name] for name in ("role", "content", "name") if message.get(name) is not None}
        if message.get("tool_calls") is not None:
            try:
                turn["tool_calls"] = json.loads(message["tool_calls"])
            except ValueError as error:
                raise RowError("the tool calls of a message are no JSON", "E-BACKEND-034", why=str(error)) from None
        made.append(turn)
    return made


def is_strict(schema: Any) -> bool:
    """Whether hosted servers can hold an answer to a schema to the letter: every object in it names all its fields,
    needs each and takes no other."""
    if isinstance(schema, Mapping):
        fields = schema.get("properties")
        if (schema.get("type") == "object" or isinstance(fields, Mapping)) and (
            schema.get("additionalProperties") is not False or set(schema.get("required", ())) != set(fields or ())
        ):
            return False
        return all(map(is_strict, schema.values()))
    return all(map(is_strict, schema)) if isinstance(schema, list) else True


def _with(body: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """`extra` put over `body`; what it says is null is left out."""
    return {name: value for name, value in {**body, **extra}.items() if value is not None}


def _tokens(texts: Any) -> float:
    """A guess, corrected once the server has counted: four bytes a token."""
    return len(json.dumps(texts, ensure_ascii=False).encode("utf-8", errors="replace")) / 4
