"""Answers that a model criticises and revises by written principles: Constitutional AI."""

from __future__ import annotations

import random
from collections.abc import Generator as PyGenerator
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

from pydantic import Field

from itune_core.api import (
    Answer,
    Ask,
    Created,
    Drop,
    Generator,
    Input,
    InputFile,
    Kind,
    Message,
    ModelRef,
    Record,
    conversation,
    message,
    parts,
    preference,
)
from itune_generators.asking.line_sets import line_set
from itune_generators.asking.prompting import Prompted, PromptedConfig
from itune_generators.reading.quoting import quotes
from itune_generators.reading.speech import answer_alone
from itune_generators.recording.carrying import carried


class Constitutional(Prompted, Generator):
    """Have a model criticise an answer by a principle and revise it, several times over.

    For each record `rounds` principles are drawn, none twice. In each round the model is shown the conversation, the
    answer as it is by now and the principle, and writes a critique; then, shown that too, it writes the answer anew.
    A prompt is answered by the model first; of a conversation the last answer is what is revised, whoever gave it.

    `gives` says what is made: conversations, the prompt with the last revision, for supervised training (SL-CAI); or
    preferences, the last revision over the answer that it began with. What is asked is the same for both, so that a
    second step that gives the other asks nothing again. `meta` holds the model and, round by round, ``principle`` and
    ``critique``.

    Dropped, at the first thing that cannot be used: ``empty-answer``, ``empty-critique``, ``empty-revision``, it is
    blank; ``unfinished``, an answer or a revision hit `max_tokens` (a critique may); ``quotes-principle``, a revision
    holds the principle, as a weak model's does that repeats what it was shown; ``unchanged``, the last revision is the
    answer it began with, and preferences are asked for.

    The principles are this package's, eighteen in each language; `principles` names others. So are the questions;
    `prompts: {critique: FILE, revise: FILE}` may use ``prompt``, the turns, ``response`` and ``principle``, and
    ``revise`` also ``critique``. The paper shows examples in both, for models that need them.

    The method's other half, labels by a model for pairs that are there already, is ``generators/ai-feedback`` with
    `principles`.

    Source: arXiv:2212.08073, section 3; four rounds with one of sixteen principles each.
    """

    inputs = {"records": Input((Kind.PROMPT, Kind.CONVERSATION))}
    produces = Kind.CONVERSATION
    method = "constitutional"
    gives = {
        "critique": frozenset({"prompt", "response", "principle"}),
        "revise": frozenset({"prompt", "response", "principle", "critique"}),
    }

    class Config(PromptedConfig):
        model: ModelRef = Field(description="The model that answers, criticises and revises: a model or a step.")
        gives: Literal["conversation", "preference"] = Field(
            "conversation",
            description="conversation: the prompt and the last revision. preference: the last revision over the first "
            "answer.",
        )
        rounds: int = Field(4, ge=1, description="Rounds of critique and revision, each by another principle.")
        principles: InputFile | None = Field(
            None, description="A text file of principles, a line each, in the place of the built-in ones."
        )
        prompts: dict[Literal["critique", "revise"], InputFile] = Field(
            {}, description="Jinja files in the place of the built-in questions."
        )
        max_tokens: int = Field(512, ge=1, description="Most new tokens of an answer, a critique, a revision.")
        temperature: float = Field(0.0, ge=0, description="Sampling temperature; 0 is greedy.")
        top_p: float = Field(1.0, gt=0, le=1, description="Nucleus mass to sample from.")

    @classmethod
    def produces_for(cls, config: Constitutional.Config) -> Kind:
        return Kind(config.gives)

    @cached_property
    def _principles(self) -> list[str]:
        settings = self.config
        return line_set(f"constitutional/{settings.language}/principles", settings.principles, least=settings.rounds)

    def generate(self, record: Record, rng: random.Random) -> PyGenerator[Any, Any, Drop | None]:
        """Answer, then criticise and revise in turn; yield what `gives` says.

        Raises:
            DataError: ``E-DATA-035`` a prompt cannot be used; ``E-GEN-030`` the principles cannot, or are fewer than
                `rounds`.
            RowError: ``E-DATA-033``, ``E-DATA-034``, ``E-DATA-036`` a prompt cannot be rendered; ``E-DATA-010`` what
                the model wrote is not text; ``E-MODEL-020`` a thought has no end.
        """
        turns, answers = parts(record)
        drawn = rng.sample(self._principles, self.config.rounds)
        if answers:
            first = answers[0][-1]["content"]
            if not first.strip():  # it only calls a tool
                return Drop("empty-answer", "the answer is blank")
        else:
            written = yield from self._written(turns, "answer")
            if isinstance(written, Drop):
                return written
            first = written
        response = first
        rounds: list[dict[str, str]] = []
        for principle in drawn:
            shown = {"prompt": turns, "response": response, "principle": principle}
            critique = yield from self._written(self.asked("critique", **shown), "critique", whole=False)
            if isinstance(critique, Drop):
                return critique
            revision = yield from self._written(self.asked("revise", **shown, critique=critique), "revision")
            if isinstance(revision, Drop):
                return revision
            if quotes(revision, principle):
                return Drop("quotes-principle", f"in round {len(rounds) + 1}: {principle[:60]!r}")
            response = revision
            rounds.append({"principle": principle, "critique": critique})
        common = carried(record, self.config.model, rounds=rounds)
        last = message("assistant", response)
        if self.config.gives == "conversation":
            made = conversation([*turns, last], **common)
        elif response == first.strip():
            return Drop("unchanged", f"after {len(rounds)} rounds it is the first answer")
        else:
            made = preference(turns, [last], [message("assistant", first)], **common)
        yield Created(made, parents=[record["id"]])
        return None

    def _written(
        self, messages: Sequence[Message], what: str, *, whole: bool = True
    ) -> PyGenerator[Ask, Answer, str | Drop]:
        """What the model writes, without white space around it, or why it cannot be used."""
        settings = self.config
        answer = yield Ask(
            settings.model,
            messages,
            max_tokens=settings.max_tokens,
            temperature=settings.temperature,
            top_p=settings.top_p,
        )
        completion = answer_alone(answer)
        text = completion.text.strip()
        if not text:
            return Drop(f"empty-{what}", f"the {what} is blank")
        if whole and completion.finish == "length":
            return Drop("unfinished", f"the {what} hit max_tokens ({settings.max_tokens})")
        return text
