"""Which of two answers a model prefers, as a soft label: RLAIF, and the labels of Constitutional AI."""

from __future__ import annotations

import math
import random
from collections.abc import Generator as PyGenerator
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain, islice
from typing import Any, Literal, NamedTuple

from pydantic import Field

from itune_core.api import (
    Ask,
    Choices,
    Context,
    Created,
    Drop,
    Failed,
    Generator,
    Input,
    InputFile,
    Inputs,
    Kind,
    ModelRef,
    OptionLogProbs,
    Record,
    Rejected,
    RowError,
    hookimpl,
)
from itune_generators.asking.line_sets import line_set
from itune_generators.asking.prompting import Prompted
from itune_generators.asking.together import all_or_first_failure, together
from itune_generators.feedback.answers import DRAWN, GIVEN, Pair, PairSettings, Turns, pairs
from itune_generators.feedback.orders import Look, averaged, clamped
from itune_generators.feedback.preferring import of_pair, preferred, raise_first
from itune_generators.reading.speech import answer_alone
from itune_generators.recording.figures import reported

NAME = "ai_feedback"

OPTIONS = ("1", "2")
"""What the judge begins its answer with: the number that the better answer is shown under."""


class AiFeedback(Prompted, Generator):
    """Have a model compare two answers to each prompt, and make a preference with a soft label: RLAIF.

    The two answers are drawn from `policy` or, without one, are those of the record. The judge is asked which is
    better, "1" or "2", in both orders; nothing is generated: the label is made of the probabilities that it begins with
    one or the other, given that it is one of them. ``probability`` is their mean over both orders, so that a preference
    for a place cancels out::

        p(a over b) = (P("1" | a, b) + P("2" | b, a)) / 2

    ``chosen`` is the answer with the larger one. With `principles`, as many as `drawn` says are drawn at random from
    the file for each record, the judge compares by each of them, and the label is the mean over all: the labels of
    Constitutional AI. ``meta`` has, for each pair, ``{"ai_feedback": {"judge": its name, "looks": by principle P("1")
    in each of the two orders, "position_bias": mean P("1") - 0.5, "mass": least probability of both options together,
    "principles": those drawn}, "pair": {"models": who wrote chosen and rejected, if the record says so}}``. The
    progress at the end of the step has the means of bias and mass: of each record over its preferences, and then over
    the records, so that a ranking of many answers counts as one. A small mass is a judge that would rather have said
    something else.

    With `thought` the judge first compares the two in writing, in each order and by each principle, and is shown that
    when it is asked for the number. It is nearly always sure then, so each probability is moved into [0.4, 0.6] before
    the mean is taken, as Constitutional AI does.

    Dropped: ``unfinished``, ``empty-answer`` (an answer of the policy hit ``max_tokens``, or is blank), ``same-answer``
    (both say the same), ``undecided`` (the orders cancel out exactly), ``too-few-answers``. Of a ranking every two
    answers are compared; pairs that are left out for these reasons while others are not stand in the ledger beside the
    record. Failed: ``E-GEN-032`` the judge thinks nothing, ``E-GEN-042`` it says nothing of an option, ``E-GEN-043`` an
    answer has several turns or no text, ``E-MODEL-020`` a model's own thought has no end, and what a backend cannot
    answer. A label needs all the looks that it is the mean of: one order alone would bring the preference for a place
    back. So one that fails, fails its pair; the record then counts as failed, and the preferences of its other pairs
    are in the output.

    A prompt of your own (`prompts: {compare: file.jinja}`) must ask for 1 or 2 and may use ``prompt``, the turns of the
    question, each with ``role`` and ``content``; ``first`` and ``second``, the answers as they are shown;
    ``principle``, None where there are none; and ``thought``, None unless the judge thought before. ``think``, which
    asks for that, may use all but the last.

    Source: arXiv:2309.00267 (RLAIF), arXiv:2212.08073 (Constitutional AI, section 4.1); the questions are this
    package's.
    """

    produces = Kind.PREFERENCE
    inputs = {"records": Input((Kind.PROMPT, Kind.PREFERENCE, Kind.RANKING))}
    method = "ai-feedback"
    gives = {
        "compare": frozenset({"prompt", "first", "second", "principle", "thought"}),
        "think": frozenset({"prompt", "first", "second", "principle"}),
    }

    class Config(PairSettings):
        judge: ModelRef = Field(description="Who compares: a model, or a training step, with log-probabilities.")
        principles: InputFile | None = Field(
            None, description="A text file of principles to compare by, one a line. Unset: by how good they are."
        )
        drawn: int = Field(1, ge=1, description="Principles to draw for each record; labels are averaged over them.")
        thought: bool = Field(False, description="Have the judge compare in writing first; labels lie in [0.4, 0.6].")
        thought_tokens: int = Field(
            256,
            ge=1,
            description="Most new tokens of that; a judge that thinks by itself before it writes needs more.",
        )
        prompts: dict[Literal["compare", "think"], InputFile] = Field(
            {}, description="Jinja files in the place of the built-in questions."
        )
        max_length: int = Field(2048, ge=1, description="Most tokens that are shown to the judge; longer fails.")

    @classmethod
    def inputs_for(cls, config: Config) -> Mapping[str, Input]:
        return DRAWN if config.policy is not None else GIVEN

    @hookimpl
    def itune_generate(
        self, inputs: Inputs, context: Context
    ) -> Iterator[tuple[str, Created | Rejected | Drop | Failed]]:
        return reported(super().itune_generate(inputs, context), context, NAME, ("position_bias", "mass"))

    @cached_property
    def _principles(self) -> list[str]:
        path = self.config.principles
        return line_set(None, path, least=self.config.drawn) if path is not None else []

    def generate(self, record: Record, rng: random.Random) -> PyGenerator[Any, Any, Drop | None]:
        """Ask for the answers, then for all comparisons at once; yield a preference for each pair.

        Raises:
            DataError: ``E-DATA-035`` a prompt cannot be used; ``E-GEN-030`` nor can the principles.
            RowError: ``E-GEN-032``, ``E-GEN-042``, ``E-GEN-043``, ``E-MODEL-020``; ``E-DATA-033`` the prompt cannot be
                rendered; ``E-DATA-010`` what the policy wrote is no text. After the preferences of other pairs, if a
                comparison failed.
        """
        settings: AiFeedback.Config = self.config
        principles = rng.sample(self._principles, settings.drawn) if self._principles else []
        found = yield from pairs(record, settings)
        questions = [self._questions(record["prompt"], pair, principles) for pair in found.compared]
        said = iter((yield from together([self._compared(values) for values in chain.from_iterable(questions)])))
        left_out, made = [*found.left_out], 0
        failed: list[Failed] = []
        for pair, asked in zip(found.compared, questions, strict=True):
            weighed = all_or_first_failure([*islice(said, len(asked))])
            if isinstance(weighed, Failed):
                failed.append(of_pair(weighed, pair))
                continue
            looks = [Look(one.first, other.first) for one, other in zip(weighed[::2], weighed[1::2], strict=True)]
            verdict = averaged(looks)
            first = averaged([*map(clamped, looks)]).first if settings.thought else verdict.first
            if first == 0.5:
                seen = ", ".join(f"{look.forward:.3f} and {look.backward:.3f}" for look in looks)
                left_out.append(Drop("undecided", f"P(1) is {seen}"))
                continue
            told = {
                "judge": settings.judge,
                "looks": looks,
                "position_bias": verdict.position_bias,
                "mass": min(one.mass for one in weighed),
                "principles": principles,
            }
            made += 1
            yield preferred(record, pair, 0 if first > 0.5 else 1, {NAME: told}, probability=max(first, 1 - first))
        if not made and not failed:
            return left_out[0]
        for drop in left_out:
            yield Rejected(drop.reason, drop.detail)
        raise_first(failed, of=len(found.compared))
        return None

    def _questions(self, prompt: Turns, pair: Pair, principles: Sequence[str]) -> list[dict[str, Any]]:
        """What the judge is shown to compare by each principle, in both orders."""
        one, other = pair.texts
        by: list[str | None] = [*principles] or [None]
        return [
            {"prompt": prompt, "first": first, "second": second, "principle": principle}
            for principle in by
            for first, second in ((one, other), (other, one))
        ]

    def _compared(self, values: Mapping[str, Any]) -> PyGenerator[Any, Any, _Weighed]:
        """What the judge says of one pair by one principle in one order."""
        settings = self.config
        thought = None
        if settings.thought:
            answer = yield Ask(settings.judge, self.asked("think", **values), max_tokens=settings.thought_tokens)
            thought = answer_alone(answer).text.strip()
            if not thought:
                raise RowError(
                    "the judge wrote nothing where it was asked to think",
                    "E-GEN-032",
                    fix="use another judge, or no thought",
                )
        asked = self.asked("compare", **values, thought=thought)
        return _weighed((yield Choices(settings.judge, asked, OPTIONS, settings.max_length)))


class _Weighed(NamedTuple):
    """Probability of "1" given that it is "1" or "2", and of the two together."""

    first: float
    mass: float


def _weighed(reply: OptionLogProbs) -> _Weighed:
    missing = [option for option, value in zip(OPTIONS, reply.values, strict=True) if not math.isfinite(value)]
    if missing:
        raise RowError(
            "the judge says nothing of an option",
            "E-GEN-042",
            why=f"no probability of {', '.join(map(repr, missing))}",
            fix="use a judge whose probabilities are known for all tokens",
        )
    return _Weighed(reply.shares[0], math.fsum(map(math.exp, reply.values)))
