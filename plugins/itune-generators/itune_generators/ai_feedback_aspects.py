"""Answers of several models, rated aspect by aspect with reasons, and criticised: UltraFeedback."""

from __future__ import annotations

import json
import random
from collections.abc import Generator as PyGenerator
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from itune_core.api import (
    Answer,
    Ask,
    ComponentConfig,
    Created,
    Drop,
    Failed,
    Generator,
    Input,
    InputFile,
    Kind,
    ModelRef,
    Record,
    Rejected,
    RowError,
    message,
    ranking,
)
from itune_generators.asking.prompting import Prompted, PromptedConfig
from itune_generators.asking.structured import structured
from itune_generators.asking.together import succeeded, together
from itune_generators.feedback.aggregation import mean_rating, shuffled, unshuffled
from itune_generators.feedback.answers import text, unusable
from itune_generators.feedback.forms import Critique, Rated, RatedIfApplicable, number, ratings_of
from itune_generators.reading.speech import answer_alone
from itune_generators.recording.carrying import CARRIED

NAME = "ai_feedback_aspects"

Aspect = Literal["instruction_following", "truthfulness", "honesty", "helpfulness"]
ASPECTS: tuple[Aspect, ...] = ("instruction_following", "truthfulness", "honesty", "helpfulness")

MAY_NOT_APPLY: frozenset[Aspect] = frozenset({"instruction_following", "honesty"})
"""A question may ask for nothing in particular, and an answer may have nothing to be sure or unsure of."""


class Responder(ComponentConfig):
    """One who answers."""

    model: ModelRef = Field(description="Who answers: a model or a training step.", examples=["small"])
    system: str | None = Field(
        None,
        min_length=1,
        description="A principle to answer by, as the system turn; takes the place of one the prompt has.",
    )


class AiFeedbackAspects(Prompted, Generator):
    """Have several models answer each prompt, and another rate the answers aspect by aspect: UltraFeedback.

    The answers are drawn from `models` or, without any, are the candidates of the records, which are rankings then.
    The judge sees all answers to a prompt at once, in an order drawn anew for each of `aspects`, and gives each a
    reason and a rating from 1 to 5; of instruction following and honesty it may say that they do not apply (``N/A``).
    It criticises each answer by itself, too, with an overall score from 1 to 10. All of this is asked at once.

    The result is a ranking. A candidate's ``score`` is the mean of its ratings, those that do not apply left out
    (UltraFeedback's fine-grained score), or with ``score: overall`` the overall score. ``meta`` has
    ``{"ai_feedback_aspects": {"judge": its name, "candidates": [{"system", "ratings": by aspect, null where it does not
    apply, "reasons": by aspect, "mean", "critique", "overall"}], "shown": by aspect, the candidates in the order that
    the judge saw them in}}``, the candidates as in the record.

    The record's ``references`` are shown with the question about truthfulness, as what is known to be right.

    Dropped: ``too-few-answers``, fewer than two are there to be rated. An answer that is left out while others are
    rated stands in the ledger beside the record: ``unfinished`` (it hit ``max_tokens``), ``empty-answer``,
    ``no-answer`` (the model could not be asked: too long for it, say; its thought has no end; it wrote a NUL
    character). Failed: ``E-GEN-040`` what the judge wrote cannot be read, asked twice; ``E-GEN-044`` no aspect applies
    to an answer; ``E-GEN-043`` a candidate has several turns or no text; ``E-MODEL-020`` the judge's own thought has no
    end; what the backend of the judge cannot answer; and the first ``no-answer``, where fewer than two are left.

    A prompt of your own: ``rate`` may use ``prompt``, the turns of the question, each with ``role`` and ``content``;
    ``answers``, the texts in the order shown; ``rubric``, the text of the prompt that has the aspect's name; and
    ``references``; it must ask for ``{"answers": [{"reason": ..., "rating": ...}]}``. ``critique`` may use ``prompt``
    and ``answer`` and must ask for ``{"critique": ..., "overall": ...}``.

    Source: arXiv:2310.01377, section 2; the questions are this package's.
    """

    produces = Kind.RANKING
    inputs = {"records": Input((Kind.PROMPT, Kind.RANKING))}
    method = "ai-feedback-aspects"
    gives = {
        "rate": frozenset({"prompt", "answers", "rubric", "references"}),
        "critique": frozenset({"prompt", "answer"}),
        **dict.fromkeys(ASPECTS, frozenset()),
    }

    class Config(PromptedConfig):
        judge: ModelRef = Field(description="Who rates: a model or a training step.")
        models: list[Responder] = Field(
            [],
            description="Who answers. Unset: the records have answers, those of other steps, say.",
            examples=[[{"model": "base"}, {"model": "base", "system": "Say what you do not know."}]],
        )
        answers: int | None = Field(
            None,
            ge=2,
            description="Answer with so many of `models`, drawn for each record, no model twice; unset: with all of "
            "them. UltraFeedback draws 4 of 17.",
        )
        max_tokens: int = Field(512, ge=1, description="Most new tokens of an answer.")
        temperature: float = Field(1.0, ge=0, description="Sampling temperature of the answers.")
        top_p: float = Field(1.0, gt=0, le=1, description="Nucleus mass that the answers are sampled from.")
        aspects: list[Aspect] = Field([*ASPECTS], min_length=1, description="What is rated.")
        critique: bool = Field(True, description="Have each answer criticised, and scored as a whole.")
        score: Literal["mean", "overall"] = Field(
            "mean", description="A candidate's score: the mean of its ratings, or the score as a whole."
        )
        prompts: dict[Literal["rate", "critique", Aspect], InputFile] = Field(
            {}, description="Jinja files in the place of the built-in questions and rubrics."
        )
        verdict_tokens: int = Field(1024, ge=1, description="Most new tokens of an answer of the judge.")

        @model_validator(mode="after")
        def _fits(self) -> Self:
            names = {responder.model for responder in self.models}
            if len(self.models) == 1:
                raise ValueError("models: one answer has nothing to be compared with; name two")
            if self.answers is not None and self.answers > len(names):
                raise ValueError(f"answers: {self.answers}, but there are {len(names)} different models to draw from")
            if self.score == "overall" and not self.critique:
                raise ValueError("score: the score as a whole comes with the critique, which is off")
            if len(set(self.aspects)) < len(self.aspects):
                raise ValueError("aspects: one is there twice")
            return self

    @classmethod
    def inputs_for(cls, config: Config) -> Mapping[str, Input]:
        return {"records": Input((Kind.PROMPT if config.models else Kind.RANKING,))}

    def depends_on(self) -> Sequence[str]:
        """What mends the JSON of answers."""
        return ("json-repair",)

    def generate(self, record: Record, rng: random.Random) -> PyGenerator[Any, Any, Drop | None]:
        """Ask for the answers, then for all ratings and critiques at once; yield the ranking.

        Raises:
            DataError: ``E-DATA-035`` a prompt cannot be used; ``E-GEN-045`` its turns cannot, or a rubric marks some.
            RowError: ``E-GEN-040``, ``E-GEN-043``, ``E-GEN-044``, ``E-MODEL-020``; ``E-DATA-033`` a prompt cannot be
                rendered.
        """
        settings: AiFeedbackAspects.Config = self.config
        responders = drawn(settings.models, settings.answers, rng)
        candidates, left_out = (yield from self._answers(record, responders)) if responders else _given(record)
        if len(candidates) < 2:
            why = "; ".join(f"{one.reason}: {one.detail}" for one in left_out)
            return Drop("too-few-answers", f"{len(candidates)}; {why}" if why else f"{len(candidates)}")
        texts = [text(candidate["completion"]) for candidate in candidates]
        shown = {aspect: shuffled(len(texts), rng) for aspect in settings.aspects}
        said = yield from together(
            [
                *(self._rate(record, aspect, [texts[place] for place in order]) for aspect, order in shown.items()),
                *(self._criticise(record, answer) for answer in texts if settings.critique),
            ]
        )
        verdicts = succeeded(said)
        critiques: list[Critique] = verdicts[len(shown) :]
        rated = {
            aspect: unshuffled(verdict.answers, order)
            for (aspect, order), verdict in zip(shown.items(), verdicts, strict=False)
        }
        scored, told = [], []
        for place, candidate in enumerate(candidates):
            by_aspect = {aspect: entries[place] for aspect, entries in rated.items()}
            facts = _facts(by_aspect, critiques[place] if critiques else None)
            score = facts["mean"] if settings.score == "mean" else facts["overall"]
            scored.append({"completion": candidate["completion"], "model": candidate["model"], "score": score})
            told.append({"system": candidate.get("system"), **facts})
        meta = {NAME: {"judge": settings.judge, "candidates": told, "shown": shown}}
        common = {**record.take(CARRIED), "meta": json.dumps(meta, ensure_ascii=False)}
        yield Created(ranking(record["prompt"], scored, **common), parents=[record["id"]])
        yield from left_out
        return None

    def _answers(
        self, record: Record, responders: Sequence[Responder]
    ) -> PyGenerator[Any, Any, tuple[list[dict[str, Any]], list[Rejected]]]:
        """An answer of each of these, and why others are left out.

        Raises:
            RowError: of the first that gave none, where fewer than two answers are left.
        """
        settings = self.config
        replies: list[Answer | Failed] = yield [
            Ask(
                responder.model,
                _with_system(record["prompt"], responder.system),
                max_tokens=settings.max_tokens,
                temperature=settings.temperature,
                top_p=settings.top_p,
            )
            for responder in responders
        ]
        candidates, left_out = [], []
        failure: Failed | None = None
        for responder, reply in zip(responders, replies, strict=True):
            if isinstance(reply, Failed):
                failure = failure or reply
                left_out.append(Rejected("no-answer", f"of {responder.model}: {reply.code}: {reply.message}"))
                continue
            try:
                completion = answer_alone(reply)
                turn = message("assistant", completion.text)
            except RowError as error:  # a NUL character, say: the others are still good
                failure = failure or Failed.of(error)
                left_out.append(Rejected("no-answer", f"of {responder.model}: {error.code}: {error.what}"))
                continue
            unfit = unusable(completion)
            if unfit:
                left_out.append(Rejected(unfit.reason, f"of {responder.model}, {unfit.detail}"))
                continue
            candidates.append({"completion": [turn], "model": responder.model, "system": responder.system})
        if failure and len(candidates) < 2:
            raise RowError(failure.message, failure.code, transient=failure.transient)
        return candidates, left_out

    def _rate(self, record: Record, aspect: Aspect, answers: Sequence[str]) -> PyGenerator[Ask, Answer, Any]:
        asked = self.asked(
            "rate",
            prompt=record["prompt"],
            answers=answers,
            rubric=self.worded(aspect),
            references=record["references"] if aspect == "truthfulness" else [],
        )
        form = ratings_of(len(answers), may_not_apply=aspect in MAY_NOT_APPLY)
        return (yield from structured(self._to_judge(asked), form, language=self.config.language))

    def _criticise(self, record: Record, answer: str) -> PyGenerator[Ask, Answer, Any]:
        asked = self.asked("critique", prompt=record["prompt"], answer=answer)
        return (yield from structured(self._to_judge(asked), Critique, language=self.config.language))

    def _to_judge(self, asked: Sequence[Mapping[str, Any]]) -> Ask:
        return Ask(self.config.judge, asked, max_tokens=self.config.verdict_tokens)


def drawn(models: Sequence[Responder], answers: int | None, rng: random.Random) -> list[Responder]:
    """Who answers a record: all of them, in order; or so many, no model twice, each entry equally likely to be asked
    first."""
    if answers is None:
        return [*models]
    found: dict[str, Responder] = {}
    for responder in rng.sample(models, len(models)):
        found.setdefault(responder.model, responder)
    return [*found.values()][:answers]


def _given(record: Record) -> tuple[list[dict[str, Any]], list[Rejected]]:
    return record["candidates"], []


def _with_system(prompt: Sequence[Mapping[str, Any]], system: str | None) -> Sequence[Mapping[str, Any]]:
    if system is None:
        return prompt
    return [message("system", system), *(prompt[1:] if prompt[0]["role"] == "system" else prompt)]


def _facts(rated: Mapping[Aspect, Rated | RatedIfApplicable], critique: Critique | None) -> dict[str, Any]:
    """What is said of one answer.

    Raises:
        RowError: ``E-GEN-044`` no aspect applies to it.
    """
    ratings = {aspect: number(one) for aspect, one in rated.items()}
    mean = mean_rating(ratings.values())
    if mean is None:
        raise RowError(
            "the judge finds that no aspect applies to an answer",
            "E-GEN-044",
            why=f"asked for {', '.join(rated)}, it says N/A",
            fix="rate more aspects, or drop such prompts",
        )
    return {
        "ratings": ratings,
        "reasons": {aspect: one.reason for aspect, one in rated.items()},
        "mean": mean,
        "critique": critique.critique if critique else None,
        "overall": critique.overall if critique else None,
    }
