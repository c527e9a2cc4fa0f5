"""How likely a server says that words are, read strictly: what it does not say is not made up."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from itune_backends.remote.answers import Body, first_choice, is_number, usage
from itune_backends.remote.faults import Fault
from itune_core.api import Choices, ModelError, OptionLogProbs, RowError, TokenLogProbs


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
    choice = first_choice(body)
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


def _likely(body: Body) -> dict[str, float]:
    """The likeliest first tokens of an answer, as text, with their log-probabilities."""
    found = first_choice(body).get("logprobs")
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
    if not all(is_number(value) and value < 1e-3 for value in values):
        raise Fault("JSON of another form")
    return [min(float(value), 0.0) for value in values]


def _without_logprobs(why: str) -> ModelError:
    return ModelError(
        "E-BACKEND-029",
        "the server does not give the log-probabilities that are asked for",
        why=why,
        fix="use a server that gives them (vLLM does), or the backend transformers",
    )
