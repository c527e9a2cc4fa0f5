"""How many tokens were drawn from each source."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from itune_core.api import Context, ModelError, Record, parts, records
from itune_mixers.drawing import Block
from itune_mixers.sources import Sources

if TYPE_CHECKING:
    import datasets

BATCH = 1000
"""Rows tokenized at once."""


def count_tokens(
    sources: Sources, blocks: Sequence[Block], phases: int, model: str, context: Context
) -> list[list[int]]:
    """By phase, the tokens drawn from each source.

    The content of all turns counts, of a preference both sides; what a chat template adds does not. Each distinct row
    is tokenized once, however often it is drawn.

    Args:
        sources: the data sets.
        blocks: what is drawn from them.
        phases: how many there are.
        model: name of the model whose tokenizer counts.
        context: the engine.

    Raises:
        ModelError: ``E-MIX-011`` itune-torch is not installed; or what stands in the way of the tokenizer.
    """
    import numpy as np

    tokenizer = _tokenizer(model, context)
    distinct = np.unique(np.concatenate([np.empty(0, np.int64), *(block.places for block in blocks)]))
    owners = sources.owners(distinct)
    lengths: list[int] = []
    for number, rows in enumerate(sources.data_sets):
        mine = distinct[owners == number] - sources.starts[number]
        if len(mine):
            drawn = iter(records(_rows(rows, mine.tolist())))
            while batch := list(islice(drawn, BATCH)):
                lengths += _lengths(tokenizer, batch)
                context.progress(len(lengths), len(distinct))
    counted = np.array(lengths, dtype=np.int64)
    tokens = np.zeros((phases, len(sources.sizes)), np.int64)
    for places, phase, _ in blocks:
        tokens[phase] += sources.tally(places, counted[np.searchsorted(distinct, places)])
    return [[int(number) for number in phase] for phase in tokens]


def _rows(rows: datasets.Dataset, numbers: list[int]) -> datasets.Dataset:
    return rows if len(numbers) == len(rows) else rows.select(numbers)


def _tokenizer(model: str, context: Context) -> Any:
    try:
        from itune_torch import load_tokenizer
    except ModuleNotFoundError as error:
        raise ModelError(
            "E-MIX-011",
            f"counting tokens needs a library that is not installed: {error.name}",
            fix="pip install 'itune-mixers[tokens]', or unset tokens_of",
        ) from error
    return load_tokenizer(context.model(model))


def _lengths(tokenizer: Any, batch: Sequence[Record]) -> list[int]:
    """Tokens of each record: of all its turns, each by itself."""
    turns = [[turn["content"] for side in _sides(record) for turn in side] for record in batch]
    texts = [text for texts in turns for text in texts]
    if not texts:
        return [0] * len(batch)
    encoded = tokenizer(texts, add_special_tokens=False, truncation=False, verbose=False)
    found = iter([len(ids) for ids in encoded["input_ids"]])
    return [sum(islice(found, len(texts))) for texts in turns]


def _sides(record: Record) -> list[Any]:
    prompt, responses = parts(record)
    return [prompt, *responses]
