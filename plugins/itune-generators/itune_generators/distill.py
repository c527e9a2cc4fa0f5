"""Answer prompts with one model or several: sequence-level distillation."""

from __future__ import annotations

import random
from collections.abc import Generator as PyGenerator
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from itune_core.api import (
    Answer,
    Ask,
    ComponentConfig,
    Created,
    Drop,
    Generator,
    Kind,
    Message,
    ModelRef,
    Record,
    Rejected,
    RowError,
    conversation,
    message,
    spoken,
    thinking,
)
from itune_generators.asking.line_sets import line_set
from itune_generators.asking.prompting import Language
from itune_generators.reading.explaining import apart
from itune_generators.recording.carrying import carried

SystemText = Annotated[str, StringConstraints(min_length=1)]


class Teacher(ComponentConfig):
    """One of several models that answer."""

    model: ModelRef = Field(description="A model or a training step.", examples=["teacher"])
    share: float = Field(default=1.0, gt=0, description="How often it is drawn, relative to the others.")


class System(ComponentConfig):
    """One of several system turns."""

    text: SystemText = Field(description="What it says.", examples=["Answer in one sentence."])
    share: float = Field(default=1.0, gt=0, description="How often it is drawn, relative to the others.")


class Distill(Generator):
    """Answer each prompt with a model, and make a conversation of every answer.

    Sequence-level distillation: the student later trains on text its teacher wrote (Kim and Rush 2016,
    arXiv:1606.07947). Of several teachers one is drawn for each prompt, of several system turns likewise, in proportion
    to their shares; `meta` says who answered (``{"model": "large"}``, by the recipe's name). Answers are kept as the
    model wrote them, or with `thought` asked for with their reasoning, as Orca does (arXiv:2306.02707): the built-in
    system turns that ask for it stand in ``prompts/distill`` of this package. What a reasoning model thinks by itself,
    between ``<think>`` and ``</think>``, goes into the column `rationale`, and with ``thought: own`` into the
    conversation.

    A draw is left out as ``empty-answer`` when it says nothing, as ``unfinished`` when it hit ``max_tokens`` before its
    end (a student trained on cut answers learns to stop mid-sentence), and as ``unreadable`` when it does not come
    apart as `thought` asks (``E-GEN-031``), its own thought has no end (``E-MODEL-020``), or it is not text
    (``E-DATA-010``). It stands in the ledger beside its prompt where other draws are kept. A prompt of which no draw is
    left fails with that code if one was unreadable, and is dropped otherwise: as ``unfinished``, or as ``empty-answer``
    if all were blank.

    Imitation carries over a teacher's style more readily than its abilities (arXiv:2305.15717): measure both.
    """

    produces = Kind.CONVERSATION

    class Config(ComponentConfig):
        model: ModelRef | list[Teacher] = Field(
            description="The teacher: a model or a training step. Or several, each with its share of the prompts: "
            "`[{model: large, share: 3}, {model: small}]`."
        )
        n: int = Field(1, ge=1, description="Answers to draw for each prompt; more than one needs a temperature.")
        system: SystemText | list[System] | None = Field(
            None,
            description="System turn to ask with; takes the place of one the prompt has. Or several, of which one is "
            "drawn for each prompt: `[{text: Be brief., share: 2}, {text: Be thorough.}]`.",
        )
        thought: Literal["none", "answer", "rationale", "own"] = Field(
            "none",
            description="Whether built-in system turns ask for the reasoning. answer: for an explanation, and the "
            "answer is kept whole. rationale: for the reasoning and then the result, and the former goes into the "
            "column `rationale`, only the latter into the conversation. own: they ask for nothing, and what a "
            "reasoning model thinks by itself is kept in the conversation, between its marks.",
        )
        language: Language = Field("en", description="The language of the built-in system turns.")
        record_system: bool = Field(
            True,
            description="Write the system turn into the conversations made. False: the student learns to behave as if "
            "it had been told (context distillation, arXiv:2112.00861).",
        )
        max_tokens: int = Field(512, ge=1, description="Most new tokens of an answer.")
        temperature: float = Field(0.0, ge=0, description="Sampling temperature; 0 is greedy.")
        top_p: float = Field(1.0, gt=0, le=1, description="Nucleus mass to sample from.")
        stop: list[str] = Field([], description="Strings that end an answer; not part of it.")
        unfinished: Literal["drop", "keep"] = Field(
            "drop", description="What to do with an answer that hit `max_tokens` before its end."
        )

        @model_validator(mode="after")
        def _settings_fit(self) -> Self:
            if self.n > 1 and self.temperature == 0:
                raise ValueError(f"n: {self.n} greedy answers would all be the same; set a temperature above 0")
            if self.model == [] or self.system == []:
                raise ValueError("a list to draw from is empty")
            if self.system is not None and self.thought in ("answer", "rationale"):
                raise ValueError("one of `system` and `thought`, not both: `thought` brings system turns of its own")
            return self

    @cached_property
    def _teachers(self) -> list[Teacher]:
        given = self.config.model
        return [Teacher(model=given)] if isinstance(given, str) else given

    @cached_property
    def _systems(self) -> list[System]:
        settings = self.config
        if settings.thought in ("answer", "rationale"):
            name = "explain" if settings.thought == "answer" else "reason"
            return [System(text=text) for text in line_set(f"distill/{settings.language}/{name}")]
        given = settings.system
        return [System(text=given)] if isinstance(given, str) else given or []

    def generate(self, record: Record, rng: random.Random) -> PyGenerator[Any, Any, Drop | None]:
        """Ask once for all draws; yield a conversation for each one that is kept.

        Raises:
            RowError: ``E-GEN-031`` no draw is left, and one did not come apart into reasoning and result;
                ``E-MODEL-020`` or the thought of one has no end; ``E-DATA-010`` or one was not text (it held a NUL
                character).
        """
        settings = self.config
        asked: list[Message] = record["prompt"]
        [teacher] = rng.choices(self._teachers, [one.share for one in self._teachers])
        if self._systems:
            [system] = rng.choices(self._systems, [one.share for one in self._systems])
            rest = asked[1:] if asked[0]["role"] == "system" else asked
            asked = [message("system", system.text), *rest]
        answer: Answer = yield Ask(
            teacher.model,
            asked,
            n=settings.n,
            max_tokens=settings.max_tokens,
            temperature=settings.temperature,
            top_p=settings.top_p,
            stop=tuple(settings.stop),
        )
        told = asked if settings.record_system else record["prompt"]
        common = carried(record, teacher.model)
        made: list[Created] = []
        left_out: list[Rejected] = []
        broken: RowError | None = None
        for number, completion in enumerate(answer.completions):
            try:
                text = spoken(completion).text
                if completion.finish == "length" and settings.unfinished == "drop":
                    left_out.append(Rejected("unfinished", f"draw {number} hit max_tokens ({settings.max_tokens})"))
                elif not text.strip():
                    left_out.append(Rejected("empty-answer", f"draw {number}"))
                else:
                    talk = self._conversation(told, completion.text, common)
                    made.append(Created(talk, parents=[record["id"]]))
            except RowError as error:  # the other draws are still good
                broken = broken or error
                left_out.append(Rejected("unreadable", f"draw {number}: {error.code}: {error.why or error.what}"))
        if made:
            yield from made
            yield from left_out
            return None
        if broken is not None:
            raise broken
        cut = sum(draw.reason == "unfinished" for draw in left_out)
        return Drop(
            "unfinished" if cut else "empty-answer",
            f"of {len(left_out)} answers {cut} hit max_tokens ({settings.max_tokens}) and {len(left_out) - cut} were "
            "blank",
        )

    def _conversation(self, told: list[Message], text: str, common: dict[str, Any]) -> Record:
        own = thinking(text)
        if self.config.thought == "own":
            return conversation([*told, message("assistant", str(own))], **common)
        thought, said = own
        if self.config.thought == "rationale":
            thought, said = apart(said, self.config.language)
        return conversation([*told, message("assistant", said)], **common, rationale=thought or None)
