"""Answers in JSON, whatever the backend: read strictly, asked for once more where that fails, never made up."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import replace
from typing import TypeVar

from pydantic import BaseModel

from itune_core.api import Answer, Ask, Completion, Prompt, RowError, message
from itune_generators.asking.complaints import complaint
from itune_generators.asking.json_answers import UnreadableError, read
from itune_generators.asking.prompting import Language
from itune_generators.reading.speech import answer_alone

Found = TypeVar("Found", bound=BaseModel)

_SHOWN = 200
"""Characters of an unreadable answer that the ledger shows; the journal has all of it."""


def structured(ask: Ask, model: type[Found], *, language: Language = "en") -> Generator[Ask, Answer, Found]:
    """Ask for a JSON object and read it; use with ``yield from``.

    The answer is read as :func:`~itune_generators.asking.json_answers.read` does, without the thought of a reasoning
    model: drafts stand in it. Where it cannot be, the model is shown its answer and what is wrong with it, and asked
    once more. Both answers are in the journal before they are read, and what is said of the first does not depend on
    the reader, so one that understands more of them asks nothing again.

    Args:
        ask: for one draw; its words say what to answer. A server that can holds the answer to its `schema`, which is
            that of `model` unless it is given.
        model: of the object.
        language: in which it is asked once more.

    Raises:
        RowError: ``E-GEN-040`` the second answer cannot be read either; ``E-MODEL-020`` it is a thought without an end;
            and what the backend says of rows it cannot answer.
        ValueError: `ask` is for several draws.
    """
    if ask.n != 1:
        raise ValueError("structured answers are drawn one at a time; ask once for each")
    if ask.schema is None:
        ask = replace(ask, schema=model.model_json_schema())
    first = _said((yield ask))
    try:
        return _read(first, model)
    except UnreadableError:
        pass
    second = answer_alone((yield _again(ask, first, model, language)))
    try:
        return _read(second, model)
    except UnreadableError as error:
        raise RowError(
            "what the model wrote cannot be read, asked twice",
            "E-GEN-040",
            why=f"{error}; it begins {second.text[:_SHOWN]!r}",
            fix="use a model that follows instructions better, a server that keeps to a schema, or more max_tokens",
        ) from error


def _said(answer: Answer) -> Completion:
    """The answer without its thought; without a word where that has no end."""
    try:
        return answer_alone(answer)
    except RowError:
        return replace(answer.completions[0], text="")


def _read(said: Completion, model: type[Found]) -> Found:
    return read(said.text, model, whole=_whole(said))


def _whole(said: Completion) -> bool:
    return said.finish != "length"


def _again(ask: Ask, bad: Completion, model: type[BaseModel], language: Language) -> Ask:
    """The conversation that goes on: what was answered, what is wrong with it, and what it must look like."""
    wrong = complaint(bad.text, model, whole=_whole(bad))
    prompt = Prompt.read("itune_generators", f"structured/{language}/again", None, frozenset({"complaint", "schema"}))
    [turn] = prompt.turns(complaint=wrong, schema=json.dumps(ask.schema, ensure_ascii=False))
    turns = list(ask.messages)
    if bad.text.strip():
        turns += [message("assistant", bad.text), turn]
    elif turns[-1]["role"] == "user":
        # Without a word there is no answer to show, and most chat templates refuse two turns of the user in a row.
        turns[-1] = message("user", f"{turns[-1]['content']}\n\n{turn['content']}")
    else:
        turns.append(turn)
    return replace(ask, messages=turns)
