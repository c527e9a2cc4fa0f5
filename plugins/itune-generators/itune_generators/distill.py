"""Answer prompts with a model: sequence-level distillation."""

from __future__ import annotations

import random
from collections.abc import Generator as PyGenerator
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from itune_core.api import (
    Answer,
    Ask,
    ComponentConfig,
    Created,
    Drop,
    Generator,
    Kind,
    ModelRef,
    Record,
    RowError,
    conversation,
    message,
)

CARRIED = ("source", "task", "category", "language", "license", "references")
"""What is true of an answered prompt because it was true of the prompt."""


class Distill(Generator):
    """Answer each prompt with a model, and make a conversation of every answer.

    Sequence-level distillation: the student later trains on text its teacher wrote (Kim and Rush 2016,
    arXiv:1606.07947). Answers are kept as the model wrote them. A draw is left out when it says nothing, or when it hit
    ``max_tokens`` before its end: a student trained on cut answers learns to stop mid-sentence. A prompt of which no
    draw is left is dropped as ``unfinished`` or, where every draw was blank, as ``empty-answer``.

    Imitation carries over a teacher's style more readily than its abilities (arXiv:2305.15717): measure both.
    """

    produces = Kind.CONVERSATION

    class Config(ComponentConfig):
        model: ModelRef = Field(description="The teacher: a model or a training step.")
        n: int = Field(1, ge=1, description="Answers to draw for each prompt; more than one needs a temperature.")
        system: str | None = Field(
            None, min_length=1, description="System turn to ask with; takes the place of one the prompt has."
        )
        record_system: bool = Field(
            True,
            description="Write `system` into the conversations made. False: the student learns to behave as if it had "
            "been told (context distillation, arXiv:2112.00861).",
        )
        max_tokens: int = Field(512, ge=1, description="Most new tokens of an answer.")
        temperature: float = Field(0.0, ge=0, description="Sampling temperature; 0 is greedy.")
        top_p: float = Field(1.0, gt=0, le=1, description="Nucleus mass to sample from.")
        stop: list[str] = Field([], description="Strings that end an answer; not part of it.")
        unfinished: Literal["drop", "keep"] = Field(
            "drop", description="What to do with an answer that hit `max_tokens` before its end."
        )

        @model_validator(mode="after")
        def _draws_differ(self) -> Self:
            if self.n > 1 and self.temperature == 0:
                raise ValueError(f"n: {self.n} greedy answers would all be the same; set a temperature above 0")
            return self

    def generate(self, record: Record, rng: random.Random) -> PyGenerator[Any, Any, Drop | None]:
        """Ask once for all draws; yield a conversation for each one that is kept.

        Raises:
            RowError: ``E-DATA-010`` no draw is left, and one was not text (it held a NUL character).
        """
        settings = self.config
        asked = record["prompt"]
        if settings.system is not None:
            rest = asked[1:] if asked[0]["role"] == "system" else asked
            asked = [message("system", settings.system), *rest]
        answer: Answer = yield Ask(
            settings.model,
            asked,
            n=settings.n,
            max_tokens=settings.max_tokens,
            temperature=settings.temperature,
            top_p=settings.top_p,
            stop=tuple(settings.stop),
        )
        told = asked if settings.record_system else record["prompt"]
        carried = {column: record[column] for column in CARRIED}
        made, cut, blank = 0, 0, 0
        broken: RowError | None = None
        for completion in answer.completions:
            if not completion.text.strip():
                blank += 1
            elif completion.finish == "length" and settings.unfinished == "drop":
                cut += 1
            else:
                try:
                    talk = conversation([*told, message("assistant", completion.text)], **carried)
                except RowError as error:  # a NUL character, say: the other draws are still good
                    broken = error
                    continue
                made += 1
                yield Created(talk, parents=[record["id"]])
        if made:
            return None
        if broken is not None:
            raise broken
        return Drop(
            "unfinished" if cut else "empty-answer",
            f"of {len(answer.completions)} answers {cut} hit max_tokens ({settings.max_tokens}) and {blank} were blank",
        )
