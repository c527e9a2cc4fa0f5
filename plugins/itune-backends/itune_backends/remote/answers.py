"""What a server answered, read strictly: a body of another form is never an empty answer."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeGuard

from itune_backends.remote.faults import SHOWN, Fault
from itune_core.api import (
    Answer,
    Ask,
    Choices,
    Completion,
    Embed,
    ModelError,
    OptionLogProbs,
    RowError,
    Spent,
    TokenLogProbs,
    Vectors,
)

Body = Mapping[str, Any]

MANY = 2**40
"""Tokens that no answer has: a server that says so does not count. The account holds sums below 2**63."""

HALVES = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair, as an answer has it that is cut off in the middle of a character: nothing can store it. Its
place is taken by what tokenizers give for a part of a character."""


def usage(body: Body) -> Spent | None:
    """The tokens that the server counted; None if it did not."""
    counted = body.get("usage")
    if not isinstance(counted, Mapping):
        return None
    read, written = counted.get("prompt_tokens"), counted.get("completion_tokens", 0)
    return Spent(read, written) if _is_count(read) and _is_count(written) else None


def answer(body: Body, ask: Ask) -> Answer:
    """The answer to a question. Where the server counts no tokens, both counts are 0: a prompt never has none.

    Raises:
        Fault: the body has another form.
        RowError: ``E-BACKEND-027`` the answer was withheld, or is something else than text.
    """
    choice = _first(body)
    message = choice.get("message")
    if not isinstance(message, Mapping):
        raise Fault("JSON of another form")
    finish, text = choice.get("finish_reason"), message.get("content")
    if isinstance(message.get("refusal"), str) and text is None:
        raise RowError("the model refused to answer", "E-BACKEND-027", why=message["refusal"][:SHOWN])
    if not isinstance(finish, str):
        raise Fault("JSON of another form")
    if finish not in ("stop", "length"):
        raise RowError(
            f"the answer ended as {finish[:SHOWN]!r}",
            "E-BACKEND-027",
            why="what there is of it is not what the model would have said to its end",
        )
    if text is None and finish == "length":  # all of it went into thoughts, which the server keeps apart
        text = ""
    if not isinstance(text, str):
        raise Fault("JSON of another form")
    text = HALVES.sub("\ufffd", text)
    cuts = [place for place in map(text.find, ask.stop) if place >= 0]
    if cuts:  # some servers leave the stop string in
        text, finish = text[: min(cuts)], "stop"
    spent = usage(body) or Spent()
    return Answer([Completion(text, finish, spent.prompt_tokens, spent.completion_tokens)])


def weighed(body: Body, request: Choices) -> OptionLogProbs:
    """How likely the first token of each option is, where it is among the likeliest that the server lists.

    A token is an option's if the option begins with it, but for a space before it; of several the longest is, and of
    two that differ by that space the one without. The server's tokenizer is not known here: where an option's own
    first token is not listed and a shorter piece of it is, that piece is taken for it.

    Raises:
        Fault: the body has another form.
        RowError: ``E-BACKEND-006`` two options begin with the same token, or one is blank; ``E-BACKEND-028`` one is
            not among the likely; ``E-BACKEND-030`` the prompt is longer than the request allows.
        ModelError: ``E-BACKEND-029`` the server gives no log-probabilities.
    """
    _within(body, request.max_length)
    listed = _likely(body)
    values: list[float] = []
    owners: dict[str, str] = {}
    for option in request.options:
        found = max((token for token in listed if _begins(option, token)), key=_length, default=None)
        if not option.strip():
            raise RowError("an option to choose is blank", "E-BACKEND-006", fix="name every option")
        if found is None:
            raise RowError(
                f"{option!r} is not among the {len(listed)} likeliest beginnings of the answer",
                "E-BACKEND-028",
                why=f"the server lists no more; the likeliest is {max(listed, key=listed.__getitem__)!r}",
                fix="ask so that the answer can only begin with an option",
            )
        if found in owners:
            raise RowError(
                f"the options {owners[found]!r} and {option!r} begin with the same token",
                "E-BACKEND-006",
                why="only the first token of an answer is looked at",
                fix="choose options that differ at their beginning",
            )
        owners[found] = option
        values.append(listed[found])
    return OptionLogProbs(values)


def echoed(body: Body, text: str, max_length: int) -> TokenLogProbs:
    """The log-probabilities of the tokens of a plain text that a server repeated; a first token that nothing stands
    before has none.

    Raises:
        Fault: the body has another form.
        RowError: ``E-BACKEND-030`` the text is longer than the request allows.
        ModelError: ``E-BACKEND-029`` the server did not repeat it.
    """
    _within(body, max_length)
    choice = _first(body)
    found = choice.get("logprobs")
    if not isinstance(found, Mapping):
        raise _without_logprobs("logprobs are missing from its completion of a text")
    values, tokens = found.get("token_logprobs"), found.get("tokens")
    if not isinstance(values, Sequence) or not isinstance(tokens, Sequence) or len(values) != len(tokens):
        raise _without_logprobs("it does not repeat a text with the log-probabilities of its tokens (`echo`)")
    offsets = found.get("text_offset")
    if not isinstance(offsets, Sequence) or len(offsets) != len(values) or not str(choice.get("text")).startswith(text):
        raise _without_logprobs("it does not repeat a text (`echo`)")
    own = [value for value, offset in zip(values, offsets, strict=True) if offset < len(text)]
    if own and own[0] is None:
        own = own[1:]
    return TokenLogProbs(_logs(own))


class Scored(NamedTuple):
    """The tokens of a prompt, as a server reads it.

    Attributes:
        ids: of the tokens.
        values: of each its log-probability after those before it; None of the first.
    """

    ids: list[str]
    values: list[float | None]


def scored(body: Body, max_length: int) -> Scored:
    """The tokens of a conversation with their log-probabilities, in vLLM's ``prompt_logprobs``.

    Raises:
        RowError: ``E-BACKEND-030`` it is longer than the request allows.
        ModelError: ``E-BACKEND-029`` the server does not know of ``prompt_logprobs``.
    """
    _within(body, max_length)
    places = body.get("prompt_logprobs")
    if not isinstance(places, list) or not places:
        raise _without_logprobs("it does not say how likely what it is given is (`prompt_logprobs`, as vLLM has it)")
    ids: list[str] = []
    values: list[float | None] = []
    for place in places:
        if place is None:
            ids.append("")
            values.append(None)
            continue
        if not isinstance(place, Mapping) or len(place) != 1:
            raise Fault("JSON of another form")
        [(token, entry)] = place.items()
        ids.append(str(token))
        values += _logs([entry.get("logprob") if isinstance(entry, Mapping) else None])
    return Scored(ids, values)


def after(prompt: Scored, whole: Scored) -> TokenLogProbs:
    """What of a conversation follows its prompt.

    Raises:
        RowError: ``E-BACKEND-031`` it does not begin with its prompt.
    """
    start = len(prompt.ids)
    if whole.ids[:start] != prompt.ids or len(whole.ids) == start:
        raise RowError(
            "as the server writes it, the conversation does not begin with its prompt",
            "E-BACKEND-031",
            why="its chat template writes a turn that is answered otherwise than one that is not",
        )
    return TokenLogProbs([value for value in whole.values[start:] if value is not None])


def vectors(body: Body, request: Embed) -> Vectors:
    """Vectors of texts, brought to length 1.

    Raises:
        Fault: the body has another form, or a vector has no direction.
    """
    data = body.get("data")
    if not isinstance(data, list) or len(data) != len(request.texts) or not all(isinstance(d, Mapping) for d in data):
        raise Fault("JSON of another form")
    found: dict[int, list[float]] = {}
    for place, entry in enumerate(data):
        vector, index = entry.get("embedding"), entry.get("index", place)
        if not isinstance(vector, list) or not all(map(_is_number, vector)) or not isinstance(index, int):
            raise Fault("JSON of another form")
        length = math.hypot(*vector)
        if not (0 < length < math.inf):
            raise Fault("a vector without direction")
        found[index] = [value / length for value in vector]
    if found.keys() != set(range(len(data))) or len({len(vector) for vector in found.values()}) > 1:
        raise Fault("JSON of another form")
    return Vectors([found[index] for index in range(len(data))])


def _first(body: Body) -> Mapping[str, Any]:
    offered = body.get("choices")
    if not isinstance(offered, list) or not offered or not isinstance(offered[0], Mapping):
        raise Fault("JSON of another form")
    return offered[0]


def _likely(body: Body) -> dict[str, float]:
    """The likeliest first tokens of an answer, as text, with their log-probabilities."""
    found = _first(body).get("logprobs")
    places = found.get("content") if isinstance(found, Mapping) else None
    if not isinstance(places, list) or not places or not isinstance(places[0], Mapping):
        raise _without_logprobs("its answer has no `logprobs`")
    entries = places[0].get("top_logprobs")
    if not isinstance(entries, list) or not entries:
        raise _without_logprobs("its answer has no `top_logprobs`")
    listed: dict[str, float] = {}
    for entry in entries:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("token"), str):
            raise Fault("JSON of another form")
        if entry.get("logprob") is None:  # minus infinity, which JSON does not have
            continue
        [value] = _logs([entry["logprob"]])
        listed[entry["token"]] = max(value, listed.get(entry["token"], -math.inf))
    if not listed:
        raise Fault("JSON of another form")
    return listed


def _begins(option: str, token: str) -> bool:
    piece = token.lstrip()
    return bool(piece) and option.lstrip().startswith(piece)


def _length(token: str) -> tuple[int, int]:
    """Longer is better; then, without a space."""
    return len(token.lstrip()), -len(token)


def _within(body: Body, max_length: int) -> None:
    spent = usage(body)
    if spent is not None and spent.prompt_tokens > max_length:
        raise RowError(
            f"the request has {spent.prompt_tokens} tokens and may have {max_length}",
            "E-BACKEND-030",
            fix="filter long rows out, or raise max_length",
        )


def _logs(values: Sequence[Any]) -> list[float]:
    """Finite log-probabilities; rounding may have put one above 0."""
    if not all(_is_number(value) and value < 1e-3 for value in values):
        raise Fault("JSON of another form")
    return [min(float(value), 0.0) for value in values]


def _without_logprobs(why: str) -> ModelError:
    return ModelError(
        "E-BACKEND-029",
        "the server does not give the log-probabilities that are asked for",
        why=why,
        fix="use a server that gives them (vLLM does), or the backend transformers",
    )


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MANY


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
