"""Rewrite instructions to ask for more, round by round, and answer them: Evol-Instruct."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from collections.abc import Generator as PyGenerator
from typing import Any, Literal

from pydantic import Field

from itune_core.api import (
    Answer,
    Ask,
    Created,
    Drop,
    Failed,
    Generator,
    InputFile,
    Kind,
    Message,
    ModelRef,
    Record,
    Rejected,
    RowError,
    conversation,
    message,
)
from itune_filters import Parent, evolution_failure, judged_equal
from itune_generators.asking.prompting import Prompted, PromptedConfig
from itune_generators.evolving.reading import COPIED, evolved_in
from itune_generators.reading.speech import answer_alone
from itune_generators.recording.carrying import carried

Operation = Literal["constraints", "deepening", "concretizing", "reasoning", "complicating", "breadth"]
OPERATIONS: list[Operation] = ["constraints", "deepening", "concretizing", "reasoning", "complicating", "breadth"]
"""Five that make an instruction ask for more, and one that makes another like it."""


class EvolInstruct(Prompted, Generator):
    """Evolve each instruction in several rounds, and answer what comes of each: Evol-Instruct.

    In every round one operation is drawn for each instruction, all equally likely: `constraints` (one more
    requirement), `deepening`, `concretizing`, `reasoning` (more steps of thought), `complicating` (data to work on: a
    table, code, a formula) or, in breadth, `breadth` (a new and rarer instruction of the same field). What is written
    is judged by WizardLM's four rules, answered, and judged again; then it is a conversation, made from the instruction
    it was written after, and the next round evolves it. A failed one is put back: the next round draws an operation
    anew, for the same instruction; at temperature 0, where one that failed would fail again, from those that are left
    for it. So there are at most `rounds` records for each instruction, a chain that every record of it names its parent
    in, from the input record on.

    Failed evolutions stand in the ledger as rejected:

    - ``no-information-gain``: it is the instruction word for word, or `judge` calls both equal. Without a `judge` it is
      not asked; in the paper the model itself judges.
    - ``sorry``, ``only-stop-words``, ``copied-prompt-words``: as in ``filters/evol-elimination``; besides its words,
      those by which answers to the built-in prompts give them away ("New instruction:", a tag).
    - ``cut-off``: instruction or answer hit `max_tokens`, or is a thought without an end (``E-MODEL-020``). With
      ``unfinished: keep`` a cut answer is kept.
    - ``empty``: instruction or answer has no text; ``not-text``: it holds a character that no text may hold.
    - ``no-verdict``: the judge says neither equal nor different, or is still thinking at its `verdict_tokens`.
    - ``no-operation-left``: at temperature 0 every operation has failed for the instruction; the chain ends.

    A record of which no evolution is left is dropped as ``no-evolution``. A request that fails, fails its record; what
    was made of it before stays. The instruction is the last turn; turns before it are kept and not shown.

    Columns: those of the record (`source`, `task`, `category`, `language`, `license`); ``meta`` has `model` (which
    answered), `round` (from 1) and `operation`.

    Source: WizardLM, arXiv:2304.12244, whose four rounds and six operations these are; the published code
    (https://github.com/nlpxucan/WizardLM) has one round, five operations and no elimination. Sampling is the code's.
    The prompts are this package's own.
    """

    method = "evol-instruct"
    gives = {
        "deepen": frozenset({"instruction", "operation"}),
        "breadth": frozenset({"instruction"}),
        "equal": frozenset({"parent", "evolved"}),
    }
    produces = Kind.CONVERSATION

    class Config(PromptedConfig):
        model: ModelRef = Field(description="The model that evolves.")
        responder: ModelRef | None = Field(None, description="The model that answers; unset: `model`.")
        judge: ModelRef | None = Field(
            None, description="The model that is asked whether an evolution asks for more; unset: it is not asked."
        )
        verdict_tokens: int = Field(
            8, ge=1, description="Most new tokens of the judge's answer; one that thinks first needs more."
        )
        rounds: int = Field(4, ge=1, description="How often each instruction is evolved.")
        operations: list[Operation] = Field(OPERATIONS, min_length=1, description="What is drawn from, equally likely.")
        max_tokens: int = Field(2048, ge=1, description="Most new tokens of an instruction, and of an answer.")
        temperature: float = Field(1.0, ge=0, description="Sampling temperature of both; 0 is greedy.")
        top_p: float = Field(0.95, gt=0, le=1, description="Nucleus mass to sample both from.")
        unfinished: Literal["drop", "keep"] = Field(
            "drop", description="What to do with an evolution whose answer hit `max_tokens` before its end."
        )
        prompts: dict[Literal["deepen", "breadth", "equal"], InputFile] = Field(
            {}, description="Jinja files in the place of the built-in prompts, by name."
        )

    def depends_on(self) -> Sequence[str]:
        """Whose rules decide what is kept."""
        return ("itune-filters",)

    def generate(self, record: Record, rng: random.Random) -> PyGenerator[Any, Any, Drop | None]:
        """One chain.

        Raises:
            RowError: a request is not answered, or a prompt cannot be rendered.
        """
        config = self.config
        responder = config.responder or config.model
        *before, turn = record["prompt"]
        known = " ".join([*(turn["content"] for turn in before), turn["content"], *(record["references"] or [])])
        parent, of = Parent(turn["content"], known), record["id"]
        failures: Counter[str] = Counter()
        chain: list[Created] = []
        operations = config.operations
        for number in range(1, config.rounds + 1):
            if not operations:
                yield Rejected("no-operation-left", f"from round {number} on: at temperature 0 all fail as before")
                break
            operation = rng.choice(operations)
            child = yield from self._evolved(parent, operation, before, responder)
            if isinstance(child, Drop):
                if config.temperature == 0:  # the same question would have the same answer
                    operations = [other for other in operations if other != operation]
                failures[child.reason] += 1
                yield Rejected(child.reason, f"round {number}, {operation}: {child.detail}")
                continue
            instruction, answer = child
            operations = config.operations
            columns = carried(record, responder, round=number, operation=operation) | {"references": []}
            talk = conversation([*before, instruction, answer], **columns)
            chain.append(Created(talk, parents=[chain[-1] if chain else of]))
            yield chain[-1]
            parent = Parent(instruction["content"], f"{instruction['content']} {answer['content']}")
        if chain:
            return None
        return Drop("no-evolution", ", ".join(f"{reason} {times}" for reason, times in failures.most_common()))

    def _evolved(
        self, parent: Parent, operation: Operation, before: list[Message], responder: str
    ) -> PyGenerator[Ask, Answer, tuple[Message, Message] | Drop]:
        """An evolution of `parent` and the answer to it, or why it failed."""
        name, extra = ("breadth", {}) if operation == "breadth" else ("deepen", {"operation": operation})
        answer = yield self._ask(self.config.model, self.asked(name, instruction=parent.prompt, **extra))
        instruction = _turn("user", answer, evolved_in)
        if isinstance(instruction, Drop):
            return instruction
        text = instruction["content"]
        if text.split() == parent.prompt.split():
            return Drop("no-information-gain", "it is the instruction word for word")
        if failure := evolution_failure(text, None, lambda: [parent], copied=COPIED):
            return failure
        if self.config.judge is not None:
            asked = self.asked("equal", parent=parent.prompt, evolved=text)
            answer = yield Ask(self.config.judge, asked, max_tokens=self.config.verdict_tokens)
            try:
                if judged_equal(answer_alone(answer).text):
                    return Drop("no-information-gain", f"{self.config.judge} calls it equal: {text[:80]!r}")
            except RowError as error:
                return Drop("no-verdict", Failed.of(error).message)
        answer = yield self._ask(responder, [*before, instruction])
        response = _turn("assistant", answer, str, cut=self.config.unfinished == "keep")
        if isinstance(response, Drop):
            return response
        return evolution_failure(text, response["content"], lambda: [parent]) or (instruction, response)

    def _ask(self, model: str, turns: list[Message]) -> Ask:
        config = self.config
        return Ask(model, turns, max_tokens=config.max_tokens, temperature=config.temperature, top_p=config.top_p)


def _turn(role: str, answer: Answer, read: Callable[[str], str], *, cut: bool = False) -> Message | Drop:
    """What `read` finds in an answer as a turn, or why it is none; `cut`: whether it may be cut off."""
    what = "instruction" if role == "user" else "answer"
    try:
        written = answer_alone(answer)
    except RowError as error:
        return Drop("cut-off", f"the {what}: {Failed.of(error).message}")
    text = read(written.text)
    if written.finish == "length" and not cut:
        return Drop("cut-off", f"the {what} hit max_tokens")
    if not text.strip():
        return Drop("empty", f"the {what} has no text")
    try:
        return message(role, text)
    except RowError as error:
        return Drop("not-text", f"the {what}: {error.what}")
