"""The answers that are judged: drawn from models, or those that a record has."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from itertools import combinations
from typing import Any, NamedTuple

from pydantic import Field

from itune_core.api import (
    Answer,
    Ask,
    Completion,
    Drop,
    Input,
    Kind,
    Message,
    ModelRef,
    Record,
    RowError,
    message,
    parts,
    spoken,
)
from itune_generators.asking.prompting import PromptedConfig

Turns = Sequence[Message]

DRAWN = {"records": Input((Kind.PROMPT,))}
GIVEN = {"records": Input((Kind.PREFERENCE, Kind.RANKING))}


class PairSettings(PromptedConfig):
    """Settings of what compares two answers."""

    policy: ModelRef | None = Field(
        None,
        description="Who answers each prompt twice: a model or a training step. Unset: the records have answers, "
        "preferences two of them, rankings any number, every two of which are compared.",
        examples=["base"],
    )
    max_tokens: int = Field(512, ge=1, description="Most new tokens of an answer of the policy.")
    temperature: float = Field(1.0, gt=0, description="Sampling temperature of the policy.")
    top_p: float = Field(1.0, gt=0, le=1, description="Nucleus mass that the policy samples from.")


class Pair(NamedTuple):
    """Two answers to compare.

    Attributes:
        places: their numbers among those of the record.
        turns: of each.
        texts: of each, as a judge is shown them.
        models: who wrote each; None where the record does not say.
    """

    places: tuple[int, int]
    turns: tuple[Turns, Turns]
    texts: tuple[str, str]
    models: tuple[str | None, str | None]


class Pairs(NamedTuple):
    """The pairs of a record, and why others are left out."""

    compared: list[Pair]
    left_out: list[Drop]


def pairs(record: Record, settings: PairSettings) -> Generator[Any, Any, Pairs]:
    """Two answers of the policy, or every two of those that the record has; use with ``yield from``.

    Left out are ``unfinished`` and ``empty-answer`` (one of the policy's two), ``too-few-answers`` (a ranking has less
    than two) and ``same-answer`` (two say the same).

    Raises:
        RowError: ``E-GEN-043`` as :func:`text`; ``E-DATA-010`` what the policy wrote is no text; ``E-MODEL-020`` or a
            thought without an end.
    """
    models: Sequence[str | None]
    if settings.policy is None:
        answers = parts(record).responses
        if len(answers) < 2:
            return Pairs([], [Drop("too-few-answers", f"{len(answers)}")])
        ranked = record.kind is Kind.RANKING
        models = [candidate["model"] for candidate in record["candidates"]] if ranked else [None] * len(answers)
    else:
        answer: Answer = yield Ask(
            settings.policy,
            record["prompt"],
            n=2,
            max_tokens=settings.max_tokens,
            temperature=settings.temperature,
            top_p=settings.top_p,
        )
        drawn = [*map(spoken, answer.completions)]
        unfit = [why for why in map(unusable, drawn) if why]
        if unfit:
            return Pairs([], unfit[:1])
        answers = [[message("assistant", completion.text)] for completion in drawn]
        models = [settings.policy] * len(answers)
    texts = [text(one) for one in answers]
    found = Pairs([], [])
    for one, other in combinations(range(len(answers)), 2):
        if texts[one].strip() == texts[other].strip():
            found.left_out.append(Drop("same-answer", f"answers {one} and {other}"))
        else:
            turns, written = (answers[one], answers[other]), (texts[one], texts[other])
            found.compared.append(Pair((one, other), turns, written, (models[one], models[other])))
    return found


def unusable(completion: Completion) -> Drop | None:
    """Why an answer that was drawn is not judged: it was cut (``unfinished``), or says nothing (``empty-answer``)."""
    if completion.finish == "length":
        return Drop("unfinished", f"after {completion.completion_tokens} tokens")
    if not completion.text.strip():
        return Drop("empty-answer", f"after {completion.completion_tokens} tokens")
    return None


def text(answer: Turns) -> str:
    """What an answer says.

    Raises:
        RowError: ``E-GEN-043`` it has several turns, or its turn has no text: a judge that is shown half of it would
            judge something else.
    """
    if len(answer) != 1 or not answer[0]["content"].strip():
        raise RowError(
            "an answer cannot be shown to the judge",
            "E-GEN-043",
            why=f"it has {len(answer)} turns" if len(answer) != 1 else "it calls a tool and says nothing",
            fix="judge answers of one turn with text",
        )
    content: str = answer[0]["content"]
    return content
