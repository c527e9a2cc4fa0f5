"""Answers that a model aligns by itself, with written principles: Self-Align."""

from __future__ import annotations

import random
from collections.abc import Generator as PyGenerator
from typing import Any, Literal

from pydantic import Field

from itune_core.api import (
    Answer,
    Ask,
    Created,
    Drop,
    Generator,
    InputFile,
    Kind,
    ModelRef,
    Record,
    conversation,
    message,
)
from itune_generators.aligning.engraving import engraved
from itune_generators.aligning.marks import MARKS
from itune_generators.asking.prompting import Prompted, PromptedConfig
from itune_generators.reading.speech import answer_alone
from itune_generators.recording.carrying import carried


class SelfAlign(Prompted, Generator):
    """Answer each prompt under sixteen principles, and keep the answer without them: stage 2 of Self-Align.

    The model is shown the principles, five examples and the conversation, and writes a thought that names the
    principles it applies, then a reply. What is made is what stage 3 trains on, *engraving*: the prompt and the reply,
    without principles, examples and thought. The thought goes into the column `rationale`, which no trainer reads;
    `meta` names the model. Stage 4, verbose cloning, is ``generators/distill`` with the trained model, a `system` that
    asks for length, and ``record_system: false``.

    Most of what a weak model writes is dropped, by the filters of the published code, in this order:

    - ``no-thought``: it does not begin with the sentence that every thought begins with ("I am an honest and careful
      assistant.").
    - ``no-reply``: no reply follows the thought.
    - ``goes-on``: it writes the user's next turn after fewer than 160 characters of reply (80 of Korean and Japanese).
      After more, it is cut there and kept.
    - ``unfinished``: it hit `max_tokens` before its end. The published code keeps these less the last word.
    - ``copies-prompt``: it holds the user's last turn, if that has more than 16 characters.
    - ``exemplar-words``: it has words of the examples, or marks of the format, that the user's turn does not have.
    - ``apology``: it begins with one.

    Before these last, the reply is cut at the first clause that it repeats.

    A `prompts: {reply: FILE}` of your own may use ``prompt``, the turns, each with ``role`` and ``content``, and must
    ask for the same marks: in English ``Thought:``, that sentence, ``Reply:``.

    Source: arXiv:2305.03047, and its code; the principles, by the same sixteen names, and the examples are this
    package's.
    """

    produces = Kind.CONVERSATION
    method = "self-align"
    gives = {"reply": frozenset({"prompt"})}

    class Config(PromptedConfig):
        model: ModelRef = Field(description="The model that answers: a base model in the paper, any that can follow.")
        prompts: dict[Literal["reply"], InputFile] = Field(
            {}, description="A Jinja file in the place of the built-in one: principles, examples, the conversation."
        )
        leaks: list[str] = Field(
            [], description="More words that a reply must not take from the examples. The built-in prompt has its own."
        )
        max_tokens: int = Field(512, ge=1, description="Most new tokens of thought and reply; 256 in the paper.")
        temperature: float = Field(0.5, ge=0, description="Sampling temperature; 0 is greedy.")
        top_p: float = Field(0.95, gt=0, le=1, description="Nucleus mass to sample from.")

    def generate(self, record: Record, rng: random.Random) -> PyGenerator[Any, Any, Drop | None]:
        """Ask for thought and reply; yield the conversation that is engraved.

        Raises:
            DataError: ``E-DATA-035`` the prompt cannot be used.
            RowError: ``E-DATA-033``, ``E-DATA-034``, ``E-DATA-036`` it cannot be rendered; ``E-DATA-010`` the answer is
                not text; ``E-MODEL-020`` a thought of the model's own, before the one that is asked for, has no end.
        """
        settings = self.config
        turns, marks = record["prompt"], MARKS[settings.language]
        answer: Answer = yield Ask(
            settings.model,
            self.asked("reply", prompt=turns),
            max_tokens=settings.max_tokens,
            temperature=settings.temperature,
            top_p=settings.top_p,
        )
        completion = answer_alone(answer)
        found = engraved(
            completion.text,
            cut=completion.finish == "length",
            asked=turns[-1]["content"],
            marks=marks,
            leaks=[*settings.leaks, *([] if "reply" in settings.prompts else marks.leaks)],
        )
        if isinstance(found, Drop):
            return found
        common = carried(record, settings.model)
        talk = conversation([*turns, message("assistant", found.reply)], **common, rationale=found.thought)
        yield Created(talk, parents=[record["id"]])
        return None
