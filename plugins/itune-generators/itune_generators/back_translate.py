"""Instructions for texts that are there already: instruction back-translation."""

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
    Input,
    InputFile,
    Kind,
    Message,
    ModelRef,
    Record,
    conversation,
    message,
    parts,
)
from itune_generators.asking.prompting import Prompted, PromptedConfig
from itune_generators.reading.instructions import instruction
from itune_generators.reading.quoting import quotes
from itune_generators.reading.speech import answer_alone
from itune_generators.recording.carrying import carried


class BackTranslate(Prompted, Generator):
    """Have a model write the instruction that a text answers, and make a conversation of the two.

    Takes texts, and conversations, of which it uses the last answer and forgets the rest. The text becomes the answer
    as it is: it is no model's, which is the point of the method. `meta` names the model that wrote the instruction.
    The paper trains that model, on the seed conversations turned around; here it is any that follows instructions, or
    the step that trained one.

    Dropped: ``no-text``, an answer that only calls a tool; ``empty-instruction``, the model wrote none;
    ``unfinished``, it hit `max_tokens`; ``quotes-text``, the instruction holds the text that it is to ask for,
    if that has more than 16 characters.

    The second half of the method, self-curation, is a scorer and a filter: ``scorers/llm-rating`` rates the pairs and
    ``filters/where`` keeps the best. The paper tells mined pairs from the seed ones by a system turn: `system`.

    A `prompts: {instruct: FILE}` of your own may use ``text``.

    Source: arXiv:2308.06259; the question is this package's.
    """

    inputs = {"records": Input((Kind.TEXT, Kind.CONVERSATION))}
    produces = Kind.CONVERSATION
    method = "back-translate"
    gives = {"instruct": frozenset({"text"})}

    class Config(PromptedConfig):
        model: ModelRef = Field(description="The model that writes the instructions: one of the recipe's, or a step.")
        prompts: dict[Literal["instruct"], InputFile] = Field(
            {}, description="A Jinja file in the place of the built-in question."
        )
        system: str | None = Field(
            None, min_length=1, description="System turn to write before the instruction; the model is not shown it."
        )
        max_tokens: int = Field(256, ge=1, description="Most new tokens of an instruction.")
        temperature: float = Field(0.0, ge=0, description="Sampling temperature; 0 is greedy.")
        top_p: float = Field(1.0, gt=0, le=1, description="Nucleus mass to sample from.")

    def generate(self, record: Record, rng: random.Random) -> PyGenerator[Any, Any, Drop | None]:
        """Ask for the instruction; yield the conversation.

        Raises:
            DataError: ``E-DATA-035`` the prompt cannot be used.
            RowError: ``E-DATA-033``, ``E-DATA-034``, ``E-DATA-036`` it cannot be rendered; ``E-DATA-010`` the
                instruction is not text; ``E-MODEL-020`` its thought has no end.
        """
        settings = self.config
        [[*_, turn]] = parts(record).responses
        text = turn["content"]
        if not text.strip():
            return Drop("no-text", "the answer only calls a tool")
        answer: Answer = yield Ask(
            settings.model,
            self.asked("instruct", text=text),
            max_tokens=settings.max_tokens,
            temperature=settings.temperature,
            top_p=settings.top_p,
        )
        completion = answer_alone(answer)
        if completion.finish == "length":
            return Drop("unfinished", f"it hit max_tokens ({settings.max_tokens})")
        found = instruction(completion.text)
        if not found:
            return Drop("empty-instruction", f"it wrote {completion.text[:60]!r}")
        if quotes(found, text):
            return Drop("quotes-text", f"it begins {found[:60]!r}")
        told: list[Message] = [] if settings.system is None else [message("system", settings.system)]
        # references answer another instruction than this
        common = carried(record, settings.model) | {"references": []}
        talk = conversation([*told, message("user", found), message("assistant", text)], **common)
        yield Created(talk, parents=[record["id"]])
        return None
