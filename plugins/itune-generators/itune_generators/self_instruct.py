"""Bootstrap a data set of instructions from a few: Self-Instruct."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Generator as PyGenerator
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from pydantic import Field

from itune_core.api import (
    Answer,
    Ask,
    ComponentConfig,
    Context,
    Created,
    Drop,
    Failed,
    Generator,
    InputFile,
    Inputs,
    Kind,
    ModelError,
    ModelRef,
    Record,
    Rejected,
    RowError,
    hookimpl,
    records,
)
from itune_filters import instruction_fault
from itune_generators.asking.prompting import Prompted, PromptedConfig
from itune_generators.bootstrapping.filling import filled
from itune_generators.bootstrapping.instances import MARKS, input_first, output_first
from itune_generators.bootstrapping.listing import is_classification, one_line, tasks_in
from itune_generators.bootstrapping.pool import Pool, Task, Tokens, parents

ASKED = 8
"""Tasks that a model is asked for at a time."""

UNANSWERED = 10
"""Requests in a row that may go unanswered."""

TOKENS: dict[str, Tokens] = {"en": "rouge", "ko": "characters", "ja": "words"}
"""By language, what texts are compared by: Korean words carry their particles; of Japanese each character is a word."""

Outcome = Created | Rejected | Drop | Failed
Dialogue = PyGenerator[list[Ask], Any, Any]
Said = tuple[str, Rejected]
"""The seed that stands for the prompt, and what was not kept of the answer."""


class Listing(ComponentConfig):
    """Sampling of lists of tasks."""

    max_tokens: int = Field(default=1024, ge=1, description="Most new tokens of a list.")
    temperature: float = Field(default=0.7, gt=0, description="Sampling temperature.")
    top_p: float = Field(default=0.5, gt=0, le=1, description="Nucleus mass to sample from.")
    presence_penalty: float = Field(
        default=2.0, description="What is taken from the logit of a token that was used already."
    )


class Instances(ComponentConfig):
    """Sampling of instances, which is greedy, and how many are kept."""

    max_tokens: int = Field(default=350, ge=1, description="Most new tokens of the instances of one task.")
    presence_penalty: float = Field(
        default=1.5, description="What is taken from the logit of a token that was used already."
    )
    most: int = Field(default=5, ge=1, description="Most instances of one task; of more the first are taken.")


class SelfInstruct(Prompted, Generator):
    """Let a model write new instructions after a few seeds, and inputs and answers to them: Self-Instruct.

    A record is a seed by its instruction: the first paragraph of its last turn, without the input that a formatter
    wrote below it. Three things are asked, all of them anew of everything there is:

    1. *Tasks.* A prompt shows eight tasks in random order, 6 seeds and 2 written by the model (while these are few,
       seeds in their place), and asks for eight more. In each round several prompts are asked at once. A task enters
       the pool if it passes the rules of ``filters/heuristics`` for instructions and its ROUGE-L with every seed and
       every task accepted before is at most `threshold`, exactly; later prompts show it. That goes on until there are
       `instructions`, or `max_requests` were made.
    2. *Classification.* Whether each task is one, since of those a model asked for inputs first writes inputs of one
       label alone.
    3. *Instances.* Of a classification task the label first and then the input, of any other the input first. One
       conversation is made of each instance that passes the rules below; its parents are the seeds in the prompt that
       the task was written after.

    What is not kept stands in the ledger as rejected, under the first seed of its prompt. Tasks: ``cut-off`` (the list
    hit `max_tokens`; all of it goes), ``no-list``, the reasons of ``filters/heuristics`` (``too-short``, ``too-long``,
    ``unsuitable-word``, ``asks-for-a-program``, ``starts-with-punctuation``, ``starts-with-non-ascii``), ``not-novel``,
    ``not-comparable`` (no letters), ``no-verdict`` (on classification, neither yes nor no). Instances: ``no-instance``,
    ``cut-off`` (the last one goes), ``repeats-input``, ``empty-output``, ``ends-with-colon``, ``contradiction`` (one
    input, two answers: all of the task go), ``duplicate``, ``over-most``, ``not-text``. ``not-answered`` is a request
    that failed, ``out-of-requests`` says how many instructions are missing.

    A seed of which nothing is left is dropped: ``nothing-kept``, or ``not-shown`` if no prompt drew it, or
    ``same-instruction`` as another seed. One that cannot be compared fails (``E-FILTER-050``), and one without words
    (``E-GEN-021``). It is an error if ten requests for tasks in a row are not answered, or all that there are
    (``E-GEN-020``).

    The language decides prompts and rules: the black list, "write a program" and the test for ASCII are for English
    alone. What is made depends on all seeds and their order. Every answer is in the journal before it is read, so a
    run that was stopped goes on where it was.

    Columns: `language`; ``meta`` has `model`, `task` (its number, from 0) and `classification`.

    Source: arXiv:2212.10560 and https://github.com/yizhongw/self-instruct, whose defaults these are, but for three
    things: there a task that brings no clear yes is none of classification, and is rejected here; instances of
    classification have 300 tokens, and 350 as all others here; of more than `most` instances some are drawn, and the
    first are taken here. The prompts are this package's own.
    """

    method = "self-instruct"
    gives = {
        "instructions": frozenset({"tasks", "first", "last"}),
        "classification": frozenset({"instruction"}),
        "input_first": frozenset({"instruction"}),
        "output_first": frozenset({"instruction"}),
    }
    produces = Kind.CONVERSATION

    class Config(PromptedConfig):
        model: ModelRef = Field(description="The model that writes.")
        instructions: int = Field(100, ge=1, description="Instructions to accept; the last round may bring some more.")
        max_requests: int | None = Field(
            None, ge=1, description="Most requests for tasks; unset: as many as `instructions`, at least one round."
        )
        at_once: int = Field(5, ge=1, description="Requests of a round; its prompts are drawn from the same pool.")
        seeds_shown: int = Field(6, ge=1, description="Seeds in a prompt.")
        made_shown: int = Field(2, ge=0, description="Instructions of the model's own in a prompt.")
        threshold: float = Field(0.7, gt=0, le=1, description="ROUGE-L F above which a task is not novel.")
        tokens: Tokens | None = Field(
            None,
            description="What texts are compared by, see `filters/novelty`. Unset: `rouge` for English, `characters` "
            "for Korean, `words` for Japanese.",
        )
        black_list: Literal["self-instruct", "alpaca"] = Field(
            "self-instruct", description="Whose list of unsuitable words; English alone."
        )
        listing: Listing = Field(Listing(), description="How tasks are drawn.")
        instances: Instances = Field(Instances(), description="How instances are written.")
        prompts: dict[Literal["instructions", "classification", "input_first", "output_first"], InputFile] = Field(
            {}, description="Jinja files in the place of the built-in prompts, by name."
        )

    @hookimpl
    def itune_generate(self, inputs: Inputs, context: Context) -> Iterator[tuple[str, Outcome]]:
        # The hook itself: what is asked next depends on all that was accepted before.
        ids = list(inputs["records"]["id"])
        pool = Pool(self.config.threshold, self.config.tokens or TOKENS[self.config.language])
        verdicts: dict[str, Drop | Failed] = {}
        for record in records(inputs["records"]):
            if refused := _planted(pool, record):
                verdicts[record["id"]] = refused
        used: set[str] = set()
        if pool.seeds:
            [finished] = context.converse([("pool", self._whole(pool, context, verdicts))])
            if isinstance(finished.result, Failed):  # a prompt that cannot be rendered
                yield from ((item, verdicts.get(item, finished.result)) for item in ids)
                return
            for item, outcome in finished.result:
                if isinstance(outcome, Created):
                    used.update(outcome.parents)  # type: ignore[arg-type]
                yield item, outcome
        yield from ((item, verdicts[item]) for item in dict.fromkeys(ids) if item not in used)

    def _whole(self, pool: Pool, context: Context, verdicts: dict[str, Drop | Failed]) -> Dialogue:
        """All three parts; fills in what becomes of seeds that nothing is made of."""
        shown_in: Counter[str] = Counter()
        said = yield from self._grow(pool, context, shown_in)
        classified, undecided = yield from self._classify(pool.made)
        made = yield from self._fill(classified)
        for task in pool.seeds:
            times = shown_in[task.seed or ""]
            why = f"{times} prompts showed it, and nothing is left of what was written after them"
            verdicts[task.seed or ""] = Drop("nothing-kept", why) if times else Drop("not-shown")
        return [*said, *undecided, *made]

    def _grow(self, pool: Pool, context: Context, shown_in: Counter[str]) -> Dialogue:
        """Ask for tasks until there are enough; what was rejected."""
        config = self.config
        most = config.max_requests or max(config.instructions, config.at_once)
        asked = failures = 0
        rejected: list[Said] = []
        while len(pool.made) < config.instructions and asked < most:
            rng = context.rng("tasks", asked)
            prompts = [
                pool.draw(rng, config.seeds_shown, config.made_shown) for _ in range(min(config.at_once, most - asked))
            ]
            replies = yield [self._ask_for_tasks(tasks) for tasks in prompts]
            asked += len(prompts)
            for tasks, reply in zip(prompts, replies, strict=True):
                failures = failures + 1 if isinstance(reply, Failed) else 0
                seeds = parents(tasks)
                shown_in.update(seeds)
                rejected += ((seeds[0], item) for item in self._taken(pool, seeds, reply))
            _check_answered(asked, failures, replies[-1])
            context.progress(len(pool.made), config.instructions, prompts=asked, rejected=len(rejected))
        if len(pool.made) < config.instructions:
            missing = f"{len(pool.made)} of {config.instructions} instructions after {asked} requests"
            rejected.append((pool.seeds[0].seed or "", Rejected("out-of-requests", missing)))
        return rejected

    def _ask_for_tasks(self, tasks: Sequence[Task]) -> Ask:
        first, last = len(tasks) + 1, len(tasks) + ASKED
        texts = [task.text.rstrip(":：").rstrip() for task in tasks]
        settings = self.config.listing
        return Ask(
            self.config.model,
            self.asked("instructions", tasks=texts, first=first, last=last),
            max_tokens=settings.max_tokens,
            temperature=settings.temperature,
            top_p=settings.top_p,
            presence_penalty=settings.presence_penalty,
            stop=(f"\n{last + 1}.",),
        )

    def _taken(self, pool: Pool, seeds: tuple[str, ...], reply: Answer | Failed) -> Iterator[Rejected]:
        """Put the tasks of an answer into the pool; what is rejected of it."""
        if isinstance(reply, Failed):
            yield Rejected("not-answered", f"{reply.code}: {reply.message}")
            return
        [completion] = reply.completions
        tasks = tasks_in(completion.text)
        if completion.finish == "length":
            yield Rejected("cut-off", f"a list of {len(tasks)} tasks hit max_tokens")
        elif not tasks:
            yield Rejected("no-list", f"the answer begins {completion.text[:80]!r}")
        else:
            for text in tasks:
                if fault := self._fault(pool, text):
                    yield Rejected(fault.reason, f"{text[:80]!r}: {fault.detail}")
                else:
                    pool.add(Task(text, parents=seeds))

    def _fault(self, pool: Pool, text: str) -> Drop | None:
        english = self.config.language == "en"
        fault = instruction_fault(text, english=english, black_list=self.config.black_list)
        try:
            return fault or pool.fault(text)
        except RowError as error:
            return Drop("not-comparable", error.what)

    def _classify(self, tasks: Sequence[Task]) -> Dialogue:
        """Whether each task is one of classification: those that it was said of, and what was rejected."""
        replies = yield [
            Ask(self.config.model, self.asked("classification", instruction=task.text), max_tokens=8) for task in tasks
        ]
        told: list[tuple[int, Task, bool]] = []
        rejected: list[Said] = []
        for number, (task, reply) in enumerate(zip(tasks, replies, strict=True)):
            if isinstance(reply, Failed):
                rejected.append((task.parents[0], Rejected("not-answered", f"{reply.code}: {reply.message}")))
            elif (verdict := is_classification(reply.text)) is None:
                why = f"{task.text[:80]!r}: {reply.text[:40]!r} is neither yes nor no"
                rejected.append((task.parents[0], Rejected("no-verdict", why)))
            else:
                told.append((number, task, verdict))
        return told, rejected

    def _fill(self, told: Sequence[tuple[int, Task, bool]]) -> Dialogue:
        """Instances of tasks: what is made of them and what is rejected."""
        marks, settings = MARKS[self.config.language], self.config.instances
        replies = yield [
            Ask(
                self.config.model,
                self.asked("output_first" if labelled else "input_first", instruction=task.text),
                max_tokens=settings.max_tokens,
                presence_penalty=settings.presence_penalty,
                stop=(f"\n{marks.example} {settings.most + 1}", f"\n{marks.task}:"),
            )
            for _, task, labelled in told
        ]
        made: list[tuple[str, Outcome]] = []
        for (number, task, labelled), reply in zip(told, replies, strict=True):
            if isinstance(reply, Failed):
                made.append((task.parents[0], Rejected("not-answered", f"{reply.code}: {reply.message}")))
                continue
            [completion] = reply.completions
            facts = {"model": self.config.model, "task": number, "classification": labelled}
            columns = {"language": self.config.language, "meta": json.dumps(facts, ensure_ascii=False)}
            found = (output_first if labelled else input_first)(completion.text, marks)
            outcomes = filled(task, found, cut=completion.finish == "length", most=settings.most, columns=columns)
            made += ((task.parents[0], outcome) for outcome in outcomes)
        return made


def _planted(pool: Pool, record: Record) -> Drop | Failed | None:
    """Put the instruction of a seed into the pool, or say why it is not there."""
    try:
        text = one_line(record["prompt"][-1]["content"].strip().partition("\n\n")[0])
        if not text:
            raise RowError("a seed has no words", "E-GEN-021", fix="leave it out of the seeds")
        if text in pool:
            return Drop("same-instruction", f"another seed has it: {text[:80]!r}")
        pool.add(Task(text, seed=record["id"]))
    except RowError as error:
        return Failed.of(error)
    return None


def _check_answered(asked: int, in_a_row: int, last: Answer | Failed) -> None:
    """Pass unless the last ten requests, or all that there were, went unanswered: more would fare no better."""
    if isinstance(last, Failed) and in_a_row >= min(asked, UNANSWERED):
        raise ModelError(
            "E-GEN-020",
            f"{in_a_row} requests for tasks in a row were not answered",
            why=f"the last: {last.code}: {last.message}",
            fix="see to the model and run again: what was answered is not asked again",
        )
