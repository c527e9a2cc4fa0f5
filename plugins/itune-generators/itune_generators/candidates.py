"""Several answers of one model to each prompt."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Generator as PyGenerator
from typing import Any, Literal

from pydantic import Field

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
    Rejected,
    RowError,
    message,
    ranking,
    spoken,
)
from itune_generators.recording.carrying import CARRIED


class Candidates(Generator):
    """Draw several answers to each prompt from a policy: one ranking with all of them, none of them scored yet.

    What reads them chooses: ``best-of-n`` has them judged, ``rejection-sampling`` and ``pairs`` make preferences. So
    several ways to choose share what was drawn. Answers that say the same stay: how often a policy says something is
    what choosing among its answers rests on. A candidate's ``model`` is the policy's name in the recipe, its ``score``
    null.

    Rejected: a draw that hit ``max_tokens`` before its end, as ``unfinished``; one that says nothing, as
    ``empty-answer``; as ``unreadable`` one that holds a NUL character, say, and one whose thought has no end. Dropped:
    ``unfinished`` or, where no draw was cut, ``empty-answer``: no draw of the prompt is left. Failed: none is left and
    one was unreadable, ``E-DATA-010``, ``E-MODEL-020``.

    ``temperature: 0.7, top_k: 40, n: 64`` draws as RSO does (arXiv:2309.06657); ``n: 16`` at temperature 1 is what
    AlpacaFarm takes the best of (arXiv:2305.14387).
    """

    produces = Kind.RANKING

    class Config(ComponentConfig):
        policy: ModelRef = Field(description="Who answers: a model or a training step.")
        n: int = Field(16, ge=1, description="Answers to draw for each prompt.")
        max_tokens: int = Field(512, ge=1, description="Most new tokens of an answer.")
        temperature: float = Field(
            1.0, gt=0, description="Sampling temperature; at 1 the policy itself is drawn from, below a sharper one."
        )
        top_p: float = Field(1.0, gt=0, le=1, description="Nucleus mass to sample from.")
        top_k: int = Field(0, ge=0, description="Sample from so many of the likeliest tokens; 0: from all.")
        stop: list[str] = Field([], description="Strings that end an answer; not part of it.")
        unfinished: Literal["drop", "keep"] = Field(
            "drop", description="What to do with an answer that hit `max_tokens` before its end."
        )

    def generate(self, record: Record, rng: random.Random) -> PyGenerator[Any, Any, Drop | None]:
        """Ask once for all draws; yield the ranking of those that are left.

        Raises:
            RowError: ``E-DATA-010`` no draw is left, and one was no text; ``E-MODEL-020`` or its thought has no end.
        """
        settings = self.config
        answer: Answer = yield Ask(
            settings.policy,
            record["prompt"],
            n=settings.n,
            max_tokens=settings.max_tokens,
            temperature=settings.temperature,
            top_p=settings.top_p,
            top_k=settings.top_k,
            stop=tuple(settings.stop),
        )
        candidates = []
        rejected: Counter[str] = Counter()
        broken: RowError | None = None
        for number, completion in enumerate(answer.completions):
            reason, why = None, f"draw {number}"
            try:
                text = spoken(completion).text
                if completion.finish == "length" and settings.unfinished == "drop":
                    reason = "unfinished"
                elif not text.strip():
                    reason = "empty-answer"
                else:
                    candidates.append({"completion": [message("assistant", text)], "model": settings.policy})
            except RowError as error:  # the other draws are still good
                broken, reason, why = broken or error, "unreadable", f"{why}: {error.code}: {error.what}"
            if reason is not None:
                rejected[reason] += 1
                yield Rejected(reason, why)
        if candidates:
            made = ranking(record["prompt"], candidates, **record.take(CARRIED))
            yield Created(made, parents=[record["id"]])
            return None
        if broken is not None:
            raise broken
        return Drop(
            "unfinished" if rejected["unfinished"] else "empty-answer",
            f"of {len(answer.completions)} answers {rejected['unfinished']} hit max_tokens ({settings.max_tokens}) "
            f"and {rejected['empty-answer']} were blank",
        )
