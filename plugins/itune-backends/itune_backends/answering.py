"""Questions to answers: render, group by settings and length, generate, put back in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from itune_backends.batching import by_budget
from itune_core.api import Answer, Ask, Completion, Failed, RowError


class Settings(NamedTuple):
    """How to generate; rows of one batch share it."""

    max_tokens: int
    temperature: float
    top_p: float
    stop: tuple[str, ...]
    top_k: int
    presence_penalty: float


class Row(NamedTuple):
    """One draw: which request it is for, and its number among the request's draws."""

    request: int
    draw: int


def answer(
    model: Any,
    tokenizer: Any,
    requests: Sequence[tuple[Ask, Sequence[int]]],
    *,
    read: Callable[[Ask], list[int]],
    batch_tokens: int,
    max_batch: int,
) -> list[Answer | Failed]:
    """Answer questions, with one draw a seed; at temperature 0 all draws are the same one, generated once.

    Args:
        model, tokenizer: a language model in eval mode.
        requests: each with its seeds.
        read: gives the tokens of a question; a RowError fails that question alone.
        batch_tokens, max_batch: as in :func:`~itune_backends.batching.by_budget`.

    Returns:
        one reply a request, in order.
    """
    prompts: dict[int, list[int]] = {}
    failed: dict[int, Failed] = {}
    alike: dict[Settings, list[Row]] = defaultdict(list)
    for number, (ask, seeds) in enumerate(requests):
        try:
            prompts[number] = read(ask)
        except RowError as error:
            failed[number] = Failed.of(error)
            continue
        settings = Settings(
            ask.max_tokens, ask.temperature, ask.top_p, tuple(ask.stop), ask.top_k, ask.presence_penalty
        )
        alike[settings] += [Row(number, draw) for draw in range(1 if ask.temperature == 0 else len(seeds))]

    drawn: dict[Row, Completion] = {}
    for settings, rows in alike.items():
        lengths = [len(prompts[row.request]) for row in rows]
        for batch in by_budget(lengths, settings.max_tokens, tokens=batch_tokens, rows=max_batch):
            members = [rows[index] for index in batch]
            seeds = [requests[row.request][1][row.draw] for row in members]
            texts = _generate(model, tokenizer, [prompts[row.request] for row in members], seeds, settings)
            drawn.update(zip(members, texts, strict=True))

    def reply(number: int, ask: Ask, draws: int) -> Answer | Failed:
        if number in failed:
            return failed[number]
        return Answer([drawn[Row(number, 0 if ask.temperature == 0 else draw)] for draw in range(draws)])

    return [reply(number, ask, len(seeds)) for number, (ask, seeds) in enumerate(requests)]


def prompt_ids(tokenizer: Any, ask: Ask, context: int | None) -> list[int]:
    """The tokens that an answer continues: the chat template rendered and tokenised once.

    Raises:
        RowError: ``E-BACKEND-003`` prompt and answer do not fit in the model's context.
        ItuneError: as :func:`itune_torch.encode_prompt`.
    """
    from itune_torch import encode_prompt

    ids = encode_prompt(tokenizer, ask.messages)
    if context is not None and len(ids) + ask.max_tokens > context:
        raise RowError(
            f"a prompt of {len(ids)} tokens and an answer of up to {ask.max_tokens} are more than the model reads",
            "E-BACKEND-003",
            why=f"its context is {context} tokens",
            fix="lower max_tokens, or filter long prompts out",
        )
    return ids


def _generate(
    model: Any, tokenizer: Any, prompts: Sequence[Sequence[int]], seeds: Sequence[int], settings: Settings
) -> Iterable[Completion]:
    from itune_torch import generate

    for made in generate(
        model,
        tokenizer,
        prompts,
        max_new_tokens=settings.max_tokens,
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
        presence_penalty=settings.presence_penalty,
        seeds=seeds,
        stop=settings.stop,
    ):
        yield Completion(made.text, made.finish_reason, made.prompt_tokens, len(made.ids))
