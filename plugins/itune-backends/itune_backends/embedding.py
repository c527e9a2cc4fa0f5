"""Texts to vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from itune_core.api import Embed, Failed, Vectors


def vectors(embedder: Any, requests: Sequence[Embed], *, max_batch: int) -> Iterator[Vectors | Failed]:
    """One unit-length vector for each text of each request, in order.

    A text that is longer than the model reads would be cut by it without a word: its request fails.

    Args:
        embedder: from :func:`itune_torch.load_embedder`.
        requests: what to embed.
        max_batch: texts at once.
    """
    from itune_torch import embed

    limit = embedder.max_seq_length
    fits: list[Embed | Failed] = []
    for request in requests:
        longest = max(_lengths(embedder, request.texts), default=0)
        if limit is not None and longest > limit:
            said = f"a text has {longest} tokens, and the embedding model reads {limit}"
            fits.append(Failed("E-BACKEND-005", said))
        else:
            fits.append(request)
    texts = [text for request in fits if isinstance(request, Embed) for text in request.texts]
    found = iter(embed(embedder, texts, batch_size=max_batch).tolist())
    for item in fits:
        yield item if isinstance(item, Failed) else Vectors([next(found) for _ in item.texts])


def _lengths(embedder: Any, texts: Sequence[str]) -> list[int]:
    if not texts:
        return []
    tokens = embedder.tokenizer(list(texts), truncation=False, padding=False, verbose=False)
    return [len(ids) for ids in tokens["input_ids"]]
