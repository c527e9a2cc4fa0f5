"""Bootstrap a data set of instructions from a few: Self-Instruct."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator as PyGenerator
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from pydantic import Field

from itune_core.api import (
    Context,
    Created,
    Drop,
    Failed,
    Generator,
    InputFile,
    Inputs,
    Kind,
    ModelRef,
    Record,
    Rejected,
    RowError,
    hookimpl,
    records,
)
from itune_generators.asking.prompting import Prompted, PromptedConfig
from itune_generators.bootstrapping.books import Books
from itune_generators.bootstrapping.completing import Instances, classify, fill
from itune_generators.bootstrapping.growing import Listing, grow
from itune_generators.bootstrapping.listing import one_line
from itune_generators.bootstrapping.pool import Pool, Task, Tokens

TOKENS: dict[str, Tokens] = {"en": "rouge", "ko": "characters", "ja": "words"}
"""By language, what texts are compared by: Korean words carry their particles; of Japanese each character is a word."""


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
    ``not-comparable`` (no letters), ``not-text`` (it holds a NUL character, say), ``no-verdict`` (on classification,
    neither yes nor no). Instances: ``no-instance``, ``cut-off`` (the last one goes), ``repeats-input``,
    ``empty-output``, ``ends-with-colon``, ``contradiction`` (one input, two answers: all of the task go),
    ``duplicate``, ``over-most``, ``not-text``. ``out-of-requests`` says how many instructions are missing.

    So does a request of which nothing came and nothing would come if it were asked again (it was refused or is too
    long, the thought of its answer has no end, its prompt cannot be rendered): ``request-failed``, with the code. A
    request that may be answered at another time ends the step with an error (``E-GEN-022``) once the others of its
    round are answered; a second run asks it again, and nothing that was answered. It is an error, too, if ten requests
    for tasks in a row fail, or all that there are (``E-GEN-020``).

    A seed that is no parent of what was made is dropped: ``nothing-kept``, or ``not-shown`` if no prompt drew it, or
    ``same-instruction`` as another seed. It fails instead where a request failed under it, with the code of the first;
    if it cannot be compared (``E-FILTER-050``); and if it has no words (``E-GEN-021``).

    A list ends where more than eight tasks begin, instances where more than `most` do or the model goes on to a task of
    its own. The model is not told to stop there, as in the published code, since a reasoning model may write the same
    in its thoughts: one that goes on writes some tokens for nothing.

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
        verdict_tokens: int = Field(
            8,
            ge=1,
            description="Most new tokens of the answer whether a task is one of classification; a model that thinks "
            "first needs more.",
        )
        listing: Listing = Field(Listing(), description="How tasks are drawn.")
        instances: Instances = Field(Instances(), description="How instances are written.")
        prompts: dict[Literal["instructions", "classification", "input_first", "output_first"], InputFile] = Field(
            {}, description="Jinja files in the place of the built-in prompts, by name."
        )

    def depends_on(self) -> Sequence[str]:
        """Whose rules decide what is kept."""
        return ("itune-filters",)

    @hookimpl
    def itune_generate(
        self, inputs: Inputs, context: Context
    ) -> Iterator[tuple[str, Created | Rejected | Drop | Failed]]:
        # The hook itself: what is asked next depends on all that was accepted before.
        ids = list(inputs["records"]["id"])
        pool, books = Pool(self.config.threshold, self.config.tokens or TOKENS[self.config.language]), Books()
        refused: dict[str, Drop | Failed] = {}
        for record in records(inputs["records"]):
            if verdict := _planted(pool, record):
                refused[record["id"]] = verdict
        shown_in: Counter[str] = Counter()
        if pool.seeds:
            [finished] = context.converse([("pool", self._whole(pool, context, books))])
            if isinstance(finished.result, Failed):  # none of a request, which have outcomes of their own
                yield from ((item, refused.get(item, finished.result)) for item in ids)
                return
            shown_in = finished.result
        yield from books.said
        for item in dict.fromkeys(ids):
            if item not in books.used:
                yield item, refused.get(item) or books.failure(item) or _unused(shown_in[item])

    def _whole(self, pool: Pool, context: Context, books: Books) -> PyGenerator[Any, Any, Counter[str]]:
        """All three parts; how many prompts showed each seed."""
        shown_in = yield from grow(self, pool, context, books)
        classified = yield from classify(self, pool.made, books)
        yield from fill(self, classified, books)
        return shown_in


def _unused(times: int) -> Drop:
    """Why nothing is left of a seed that so many prompts showed."""
    if not times:
        return Drop("not-shown")
    return Drop("nothing-kept", f"{times} prompts showed it, and nothing is left of what was written after them")


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
