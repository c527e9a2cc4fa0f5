"""N-grams of tokens as numbers, of many texts at once."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Sequence
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Numbers = npt.NDArray[np.uint64]

_ODD = 0x9E3779B97F4A7C15
"""2^64 over the golden ratio, made odd: a multiplier under which numbers that lie near each other part."""


class Shingler:
    """Numbers for n-grams of tokens: the same for the same n-gram, in whatever text, process or run.

    A number has 64 bits. Among a million different n-grams two have the same number with a probability of 3e-8.

    Args:
        size: tokens of an n-gram.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._vocabulary = _Vocabulary()

    def __call__(self, texts: Sequence[Sequence[str]]) -> list[Numbers]:
        """The number of each n-gram of each text, in order: one fewer than `size` less than it has tokens.

        A text that has fewer tokens than an n-gram is one n-gram, all of it; one without tokens has none.
        """
        import numpy as np

        size = self.size
        lengths = [len(text) for text in texts]
        # Numbers first: a small integer passes into an array faster than 64 bits.
        known = map(self._vocabulary.__getitem__, chain.from_iterable(texts))
        places = np.fromiter(known, np.intp, sum(lengths))
        tokens = np.array(self._vocabulary.hashes, np.uint64)[places]
        # A window is hashed as a polynomial in an odd number. Windows that reach into the next text are made as well
        # and never looked at.
        windows = max(len(tokens) - size + 1, 0)
        numbers = np.zeros(windows, np.uint64)
        for place in range(size):
            numbers *= np.uint64(_ODD)
            numbers += tokens[place : place + windows]
        numbers = mixed(numbers)
        found = []
        ends = np.cumsum([0, *lengths]).tolist()
        for start, end in pairwise(ends):
            whole = end - start >= size
            found.append(numbers[start : end - size + 1] if whole else self._short(tokens[start:end]))
        return found

    def _short(self, tokens: Numbers) -> Numbers:
        import numpy as np

        if not len(tokens):
            return tokens
        number = 0
        for token in tokens.tolist():
            number = (number * _ODD + token) % 2**64
        # Its length counts, or a text would be the same as one that begins with tokens of the number 0.
        return mixed(np.array([(number + len(tokens)) % 2**64], np.uint64))


class _Vocabulary(dict[str, int]):
    """Tokens by number, from 0 in the order they were first asked for, and 64 bits of the text of each."""

    def __init__(self) -> None:
        self.hashes = array("Q")

    def __missing__(self, token: str) -> int:
        digest = hashlib.blake2b(token.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        self.hashes.append(int.from_bytes(digest, "little"))
        self[token] = number = len(self)
        return number


def mixed(numbers: Numbers) -> Numbers:
    """The numbers, one for one, with every bit depending on all (the finaliser of SplitMix64)."""
    import numpy as np

    made: Any = numbers ^ (numbers >> np.uint64(30))
    made *= np.uint64(0xBF58476D1CE4E5B9)
    made ^= made >> np.uint64(27)
    made *= np.uint64(0x94D049BB133111EB)
    made ^= made >> np.uint64(31)
    return made
