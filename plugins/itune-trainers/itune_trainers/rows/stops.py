"""What ends an answer: the tokens at which generation stops, and whether training rows end in one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from itune_core.api import ModelSource

if TYPE_CHECKING:
    from transformers import GenerationConfig, PreTrainedTokenizerBase

    from itune_torch import Encoded


def stop_ids(source: ModelSource, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """The tokens at which generation stops: the tokenizer's end token, and those that the model's files name.

    The two differ where a chat model ends its turns with another token than its texts.
    """
    from itune_torch import resolve

    folders = [resolve(source)] if source.adapter is None else [source.adapter, resolve(source)]
    found = _listed(tokenizer.eos_token_id)
    for folder in folders:
        path = folder / "generation_config.json"
        if path.is_file():
            return frozenset(found + _listed(json.loads(path.read_text("utf-8")).get("eos_token_id")))
    return frozenset(found)


def ends(row: Encoded, stops: Iterable[int]) -> bool:
    """Whether the last stretch of trained tokens in `row` holds a stop token. A text, which has no prompt and nothing
    untrained, need not end; so it counts as ended."""
    if all(row.trained):
        return True
    last = len(row.trained) - 1
    while last >= 0 and not row.trained[last]:
        last -= 1
    first = last
    while first >= 0 and row.trained[first]:
        first -= 1
    return not {*stops}.isdisjoint(row.ids[first + 1 : last + 1])


def name_stops(generation: GenerationConfig, tokenizer: PreTrainedTokenizerBase) -> None:
    """Have a generation config stop at the tokenizer's end token, besides those it has, and pad with its padding token
    if it names none."""
    stops = _listed(generation.eos_token_id)
    if tokenizer.eos_token_id is not None and tokenizer.eos_token_id not in stops:
        stops.append(tokenizer.eos_token_id)
    if stops:
        generation.eos_token_id = stops if len(stops) > 1 else stops[0]
    if generation.pad_token_id is None:
        generation.pad_token_id = tokenizer.pad_token_id


def _listed(ids: int | Sequence[int] | None) -> list[int]:
    return [] if ids is None else [ids] if isinstance(ids, int) else list(ids)
