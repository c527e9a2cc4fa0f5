"""Preferences by a pool of annotators that differ and err, as people do: AlpacaFarm."""

from __future__ import annotations

import random
from collections.abc import Generator as PyGenerator
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from itune_core.api import (
    Answer,
    Ask,
    ComponentConfig,
    Drop,
    Failed,
    Generator,
    Input,
    InputFile,
    Kind,
    ModelRef,
    Record,
    Rejected,
)
from itune_generators.asking.prompting import Prompted
from itune_generators.asking.structured import structured
from itune_generators.asking.together import together
from itune_generators.feedback.answers import DRAWN, GIVEN, Pair, PairSettings, Turns, pairs
from itune_generators.feedback.flips import flipped
from itune_generators.feedback.preferring import of_pair, preferred, raise_first

Wording = Literal["brief", "reasoned", "strict"]


class Annotator(ComponentConfig):
    """One of the pool."""

    model: ModelRef = Field(description="Who is asked: a model or a training step.", examples=["teacher"])
    wording: Wording = Field(
        "brief",
        description="How it is asked. brief: for the number alone; reasoned: for reasons before the number; strict: to "
        "look for mistakes first. Each is a file of `prompts`.",
    )
    temperature: float = Field(1.0, ge=0, description="Sampling temperature; at 0 it always says the same of a pair.")


class Preferred(BaseModel):
    """What an annotator answers."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(description="What speaks for the better answer; may be empty.")
    better: int = Field(ge=1, le=2, description="The number of the better answer.")


class AiFeedbackNoisy(Prompted, Generator):
    """Have annotators that differ and err compare two answers to each prompt, as people do: AlpacaFarm's simulation.

    The two answers are drawn from `policy` or, without one, are those of the record. For each pair one of `annotators`
    is drawn at random, the order it sees the answers in is drawn, too, and it is asked which is better, at its
    temperature, so that annotators differ from each other and from themselves. Then the label is turned over with
    probability `flip_rate`: as there, with twice that probability it gives way to the toss of a fair coin. A reward
    model overfits such labels as it does people's; labels without noise hide that.

    ``chosen`` is the answer that the label names, ``probability`` null. ``meta`` has ``{"ai_feedback_noisy":
    {"annotator": its number in the list, "model": its name, "shown": the answers in the order it saw them, 0 the first,
    "reason": in its words, "flipped": whether the label was turned over}, "pair": {"models": who wrote chosen and
    rejected, if the record says so}}``. What is drawn depends on seed, record and
    pair alone: at another `flip_rate` the same annotators see the same orders, and are asked nothing again.

    Dropped: ``unfinished``, ``empty-answer`` (an answer of the policy hit ``max_tokens``, or is blank), ``same-answer``
    (both say the same), ``too-few-answers``. Of a ranking every two answers are compared; pairs that are left out while
    others are not stand in the ledger beside the record. Failed: ``E-GEN-040`` what the annotator wrote cannot be read,
    asked twice, ``E-MODEL-020`` it is a thought without an end, ``E-GEN-043`` an answer has several turns or no text,
    and what a backend cannot answer. Each pair has an annotator of its own, who fails that pair alone; the record then
    counts as failed, and the preferences of its other pairs are in the output.

    A prompt of your own must ask for a JSON object with ``reason`` and ``better``, 1 or 2, and may use ``prompt``, the
    turns of the question, each with ``role`` and ``content``, and ``first`` and ``second``, the answers as shown.

    Source: arXiv:2305.14387, section 3.2; the questions are this package's.
    """

    produces = Kind.PREFERENCE
    inputs = {"records": Input((Kind.PROMPT, Kind.PREFERENCE, Kind.RANKING))}
    method = "ai-feedback-noisy"
    gives = dict.fromkeys(("brief", "reasoned", "strict"), frozenset({"prompt", "first", "second"}))

    class Config(PairSettings):
        annotators: list[Annotator] = Field(
            min_length=1,
            description="The pool; one that stands in it twice is drawn twice as often.",
            examples=[[{"model": "teacher", "wording": "brief"}, {"model": "teacher", "wording": "strict"}]],
        )
        flip_rate: float = Field(
            0.25, ge=0, le=0.5, description="Share of the labels to turn over; 0 to measure with, not to train on."
        )
        prompts: dict[Wording, InputFile] = Field({}, description="Jinja files in the place of the built-in questions.")
        verdict_tokens: int = Field(256, ge=1, description="Most new tokens of an annotator's answer.")

    @classmethod
    def inputs_for(cls, config: Config) -> Mapping[str, Input]:
        return DRAWN if config.policy is not None else GIVEN

    def depends_on(self) -> Sequence[str]:
        """What mends the JSON of answers."""
        return ("json-repair",)

    def generate(self, record: Record, rng: random.Random) -> PyGenerator[Any, Any, Drop | None]:
        """Ask for the answers, then for all comparisons at once; yield a preference for each pair.

        Raises:
            DataError: ``E-DATA-035`` a prompt cannot be used.
            RowError: ``E-GEN-040``, ``E-GEN-043``, ``E-MODEL-020``; ``E-DATA-033`` a prompt cannot be rendered;
                ``E-DATA-010`` what the policy wrote is no text. After the preferences of other pairs, if a comparison
                failed.
        """
        settings: AiFeedbackNoisy.Config = self.config
        found = yield from pairs(record, settings)
        if not found.compared:
            return found.left_out[0]
        drawn = []
        for _ in found.compared:
            number = rng.randrange(len(settings.annotators))
            drawn.append((number, rng.sample((0, 1), 2), flipped(settings.flip_rate, rng)))
        said = yield from together(
            [
                self._asked_of(number, record["prompt"], pair, shown)
                for pair, (number, shown, _) in zip(found.compared, drawn, strict=True)
            ]
        )
        failed: list[Failed] = []
        for pair, (number, shown, flip), verdict in zip(found.compared, drawn, said, strict=True):
            if isinstance(verdict, Failed):
                failed.append(of_pair(verdict, pair))
                continue
            better = shown[verdict.better - 1] ^ flip
            told = {
                "annotator": number,
                "model": settings.annotators[number].model,
                "shown": shown,
                "reason": verdict.reason,
                "flipped": flip,
            }
            yield preferred(record, pair, better, {"ai_feedback_noisy": told})
        for drop in found.left_out:
            yield Rejected(drop.reason, drop.detail)
        raise_first(failed, of=len(found.compared))
        return None

    def _asked_of(
        self, number: int, prompt: Turns, pair: Pair, shown: Sequence[int]
    ) -> PyGenerator[Ask, Answer, Preferred]:
        """What this annotator says of one pair."""
        settings = self.config
        annotator = settings.annotators[number]
        first, second = (pair.texts[place] for place in shown)
        asked = self.asked(annotator.wording, prompt=prompt, first=first, second=second)
        question = Ask(annotator.model, asked, max_tokens=settings.verdict_tokens, temperature=annotator.temperature)
        return (yield from structured(question, Preferred, language=settings.language))
