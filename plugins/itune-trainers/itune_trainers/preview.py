"""What training sees of each record: its tokens, and which of them are trained on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from itune_core.api import Context, Inputs, RowError, records
from itune_trainers.algorithm import Algorithm
from itune_trainers.rows.encoder import Encoder, OverLength

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from itune_torch import Encoded

Tokens = list[tuple[str, bool]]


def preview(objective: Algorithm, inputs: Inputs, context: Context) -> Iterator[tuple[str, Tokens]]:
    """``(record id, tokens)`` of every row of ``inputs["train"]``: a pair gives two. No weights are loaded.

    A record that training would leave out is left out here.
    """
    from itune_torch import load_tokenizer

    config = objective.config
    tokenizer = load_tokenizer(context.model(config.model))
    objective.prepare(tokenizer, inputs["train"])
    encoder = Encoder(tokenizer, config.max_length, config.overlength)
    for record in records(inputs["train"]):
        try:
            example = objective.example(record, encoder)
        except (RowError, OverLength):
            continue
        for row in example.rows:
            yield example.id, _tokens(tokenizer, row)


def _tokens(tokenizer: PreTrainedTokenizerBase, row: Encoded) -> Tokens:
    """Text by token. Of a character that takes several tokens, the last has the text and the others have none."""
    made: Tokens = []
    waiting: list[int] = []
    for token, trained in zip(row.ids, row.trained, strict=True):
        waiting.append(token)
        text = tokenizer.decode(waiting, clean_up_tokenization_spaces=False)
        whole = not text.endswith("\N{REPLACEMENT CHARACTER}") or len(waiting) == 4  # the most bytes of a character
        made.append((text if whole else "", trained))
        if whole:
            waiting = []
    return made
