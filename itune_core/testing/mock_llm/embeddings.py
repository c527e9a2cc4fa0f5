"""Embeddings: unit vectors that are the nearer, the more words two texts share."""

from __future__ import annotations

import base64
import hashlib
import math
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import orjson

from itune_core.testing.mock_llm.prose import tokens
from itune_core.testing.mock_llm.refusal import Refused, integer

DIMENSIONS = 64
MOST = 4096
MAX_TEXTS = 2048


def embed(body: bytes) -> tuple[dict[str, Any], int]:
    """The body of the response to a request for embeddings, and the tokens of its texts.

    Raises:
        Refused: it is none.
    """
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refused(400, f"the body is not JSON: {error}") from None
    if not isinstance(given, dict) or not isinstance(model := given.get("model"), str):
        raise Refused(400, "you must provide a model", "model")
    texts = _texts(given.get("input"))
    size = integer(given, "dimensions", DIMENSIONS, 1, MOST) or DIMENSIONS
    form = given.get("encoding_format") or "float"
    if form not in ("float", "base64"):
        raise Refused(400, "it is float or base64", "encoding_format")
    pieces = [tokens(text) for text in texts]
    count = sum(map(len, pieces))
    data = [
        {"object": "embedding", "index": number, "embedding": _told(_vector(model, piece, size), form)}
        for number, piece in enumerate(pieces)
    ]
    used = {"prompt_tokens": count, "total_tokens": count}
    return {"object": "list", "data": data, "model": model, "usage": used}, count


def _texts(given: Any) -> Sequence[str]:
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not 0 < len(texts) <= MAX_TEXTS:
        raise Refused(400, f"it is a text or a list of up to {MAX_TEXTS} texts", "input")
    if not all(isinstance(text, str) and text for text in texts):
        raise Refused(400, "a text is empty or none; tokens are not read here", "input")
    return texts


def _vector(model: str, pieces: Sequence[str], size: int) -> list[float]:
    """The sum of the words' vectors, at length 1."""
    total = [0.0] * size
    for word in {piece.strip().lower() for piece in pieces}:
        total = [one + other for one, other in zip(total, _word(model, word, size), strict=True)]
    length = math.sqrt(math.fsum(value * value for value in total))
    if length == 0:  # words whose vectors cancel out
        total, length = [1.0, *total[1:]], 1.0
    return [value / length for value in total]


@lru_cache(maxsize=4096)
def _word(model: str, word: str, size: int) -> tuple[int, ...]:
    """A vector of ones and minus ones."""
    digest = hashlib.shake_128(f"{model}\n{word}".encode()).digest(-(-size // 8))
    bits = int.from_bytes(digest, "big")
    return tuple(1 if bits >> place & 1 else -1 for place in range(size))


def _told(vector: Sequence[float], form: str) -> list[float] | str:
    if form == "float":
        return list(vector)
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
