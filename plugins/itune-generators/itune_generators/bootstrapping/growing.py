"""The first part of Self-Instruct: rounds that ask for tasks, and the pool that takes in what is new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from pydantic import Field

from itune_core.api import (
    Answer,
    Ask,
    Completion,
    ComponentConfig,
    Context,
    Drop,
    Failed,
    ModelError,
    Rejected,
    RowError,
    message,
)
from itune_filters import instruction_fault
from itune_generators.asking.prompting import Prompted
from itune_generators.bootstrapping.books import Books
from itune_generators.bootstrapping.listing import tasks_in
from itune_generators.bootstrapping.pool import Pool, Task, parents
from itune_generators.bootstrapping.rounds import answers
from itune_generators.reading.speech import answer_alone
from itune_generators.reading.stopping import until

ASKED = 8
"""Tasks that a model is asked for at a time."""

UNANSWERED = 10
"""Requests in a row that may come to nothing."""


class Listing(ComponentConfig):
    """Sampling of lists of tasks."""

    max_tokens: int = Field(default=1024, ge=1, description="Most new tokens of a list.")
    temperature: float = Field(default=0.7, gt=0, description="Sampling temperature.")
    top_p: float = Field(default=0.5, gt=0, le=1, description="Nucleus mass to sample from.")
    presence_penalty: float = Field(
        default=2.0, description="What is taken from the logit of a token that was used already."
    )


def grow(component: Prompted, pool: Pool, context: Context, books: Books) -> Generator[Any, Any, Counter[str]]:
    """Ask for tasks until the pool has enough, or the requests are spent; how many prompts showed each seed.

    Args:
        component: whose settings and prompts these are.
        pool: of seeds and tasks.
        context: lends random numbers and shows progress.
        books: where it is put down what came of what.

    Raises:
        ModelError: ``E-GEN-020`` the last ten requests failed, or all that there were; ``E-GEN-022`` as in
            :func:`~itune_generators.bootstrapping.rounds.answers`.
    """
    config = component.config
    most = config.max_requests or max(config.instructions, config.at_once)
    asked = failures = 0
    shown_in: Counter[str] = Counter()
    while len(pool.made) < config.instructions and asked < most:
        rng = context.rng("tasks", asked)
        prompts = [
            pool.draw(rng, config.seeds_shown, config.made_shown) for _ in range(min(config.at_once, most - asked))
        ]
        replies = yield from answers([_listed(component, tasks) for tasks in prompts])
        asked += len(prompts)
        for tasks, reply in zip(prompts, replies, strict=True):
            seeds = parents(tasks)
            shown_in.update(seeds)
            if isinstance(reply, Failed):
                failures += 1
                books.fail(seeds, reply)
            else:
                failures = 0
                for rejected in _taken(component, pool, seeds, reply):
                    books.say(seeds, rejected)
        _check_answered(asked, failures, replies[-1])
        context.progress(len(pool.made), config.instructions, prompts=asked, **books.counts)
    if len(pool.made) < config.instructions:
        missing = f"{len(pool.made)} of {config.instructions} instructions after {asked} requests"
        books.say([pool.seeds[0].seed or ""], Rejected("out-of-requests", missing))
    return shown_in


def _listed(component: Prompted, tasks: Sequence[Task]) -> Generator[Ask, Answer, Completion]:
    """The list that a model writes after these tasks, up to the first task more than it was asked for."""
    first, last = len(tasks) + 1, len(tasks) + ASKED
    texts = [task.text.rstrip(":：").rstrip() for task in tasks]
    settings = component.config.listing
    answer = yield Ask(
        component.config.model,
        component.asked("instructions", tasks=texts, first=first, last=last),
        max_tokens=settings.max_tokens,
        temperature=settings.temperature,
        top_p=settings.top_p,
        presence_penalty=settings.presence_penalty,
    )
    return until(answer_alone(answer), f"\n{last + 1}.")


def _taken(component: Prompted, pool: Pool, seeds: tuple[str, ...], written: Completion) -> Iterator[Rejected]:
    """Put the tasks of a list into the pool; what is rejected of it."""
    tasks = tasks_in(written.text)
    if written.finish == "length":
        yield Rejected("cut-off", f"a list of {len(tasks)} tasks hit max_tokens")
    elif not tasks:
        yield Rejected("no-list", f"the answer begins {written.text[:80]!r}")
    else:
        for text in tasks:
            if fault := _fault(component, pool, text):
                yield Rejected(fault.reason, f"{text[:80]!r}: {fault.detail}")
            else:
                pool.add(Task(text, parents=seeds))


def _fault(component: Prompted, pool: Pool, text: str) -> Drop | None:
    try:
        message("user", text)
    except RowError as error:  # a NUL character, say: no later prompt could show it
        return Drop("not-text", error.what)
    english = component.config.language == "en"
    fault = instruction_fault(text, english=english, black_list=component.config.black_list)
    try:
        return fault or pool.fault(text)
    except RowError as error:
        return Drop("not-comparable", error.what)


def _check_answered(asked: int, in_a_row: int, last: Completion | Failed) -> None:
    """Pass unless the last ten requests, or all that there were, failed: more would fare no better."""
    if isinstance(last, Failed) and in_a_row >= min(asked, UNANSWERED):
        raise ModelError(
            "E-GEN-020",
            f"{in_a_row} requests for tasks in a row failed",
            why=f"the last: {last.code}: {last.message}",
            fix="see to the model, the prompt or listing.max_tokens, which thoughts count for, too: the same question, "
            "asked again, fares no better",
        )
