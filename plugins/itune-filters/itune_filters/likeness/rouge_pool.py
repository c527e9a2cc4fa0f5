"""A growing pool of texts, and which of them a new text is like by ROUGE-L."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain
from math import ceil
from typing import NamedTuple

from itune_core.api import DataError

_ROUNDING = 1e-9
"""Slack of bounds on lengths, so that rounding never leaves out a pair at the threshold."""

_CUT = 1e-5
"""Slack of the score that RapidFuzz cuts off at, which it holds in single precision (release 3.14.6). What it lets in
is decided by :func:`rouge_l`."""


class Near(NamedTuple):
    """A text of the pool: its number, counted from 0 in the order of adding, and how like it is."""

    number: int
    rouge_l: float


class RougePool:
    """Texts, each a sequence of tokens, that can be asked which of them a new one is most like.

    The answer is that of comparing the new text with every text of the pool, to the last bit of the arithmetic of the
    ``rouge-score`` package, without making most of the comparisons. Two texts of m and n tokens with
    ROUGE-L F :math:`= 2 LCS / (m + n) >= t` have :math:`LCS >= t n / (2 - t)` tokens in common. So they share one of
    the rarest :math:`n - \\lceil t n / (2 - t) \\rceil + 1` tokens of either (prefix filtering, Chaudhuri et al. 2006,
    https://doi.org/10.1109/ICDE.2006.9), and neither is longer than :math:`(2 - t) / t` times the other. Only those are
    compared, by RapidFuzz: the normalised Indel similarity of two sequences is that F.

    Args:
        threshold: least ROUGE-L F, in (0, 1], that :meth:`nearest` reports.
        counts: how often each token occurs in the texts to come, if that is known; without it a token counts as the
            rarer the later it is first seen. Changes the speed, never an answer.
    """

    def __init__(self, threshold: float, counts: Mapping[str, int] | None = None) -> None:
        self.threshold = threshold
        # Of two tokens the one with the larger number is the rarer.
        common_first = sorted(counts or {}, key=lambda token: -(counts or {})[token])
        self._numbers = {token: number for number, token in enumerate(common_first)}
        self._texts: list[str] = []
        self._holders: defaultdict[str, list[int]] = defaultdict(list)

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, tokens: Sequence[str]) -> int:
        """Put a text into the pool; its number."""
        number, text = len(self._texts), self._encoded(tokens)
        self._texts.append(text)
        for token in self._rarest(text):
            self._holders[token].append(number)
        return number

    def nearest(self, tokens: Sequence[str]) -> Near | None:
        """The text of the pool that `tokens` is most like, of equals the one that was added first; None if none reaches
        the threshold. Equal are those of which :math:`2 LCS / (m + n)` is, however it rounds."""
        from rapidfuzz.distance import Indel
        from rapidfuzz.process import extract, extractOne

        text = self._encoded(tokens)
        holders = [self._holders[token] for token in self._rarest(text) if token in self._holders]
        shortest, longest = self._needed(len(text)), (2 - self.threshold) / self.threshold * len(text) + _ROUNDING
        texts = self._texts
        numbers = [number for number in sorted(set(chain(*holders))) if shortest <= len(texts[number]) <= longest]
        candidates = [texts[number] for number in numbers]
        least = self.threshold - _CUT
        best = extractOne(text, candidates, scorer=Indel.normalized_similarity, score_cutoff=least)
        if best is None:
            return None
        similarity = rouge_l(text, candidates[best[2]])
        if similarity >= self.threshold:
            return Near(numbers[best[2]], similarity)
        # At the threshold rounding decides, and of two such texts one may reach it and the other not.
        near = extract(text, candidates, scorer=Indel.normalized_similarity, score_cutoff=least, limit=None)
        for _, _, place in sorted(near, key=lambda found: (-found[1], found[2])):
            similarity = rouge_l(text, candidates[place])
            if similarity >= self.threshold:
                return Near(numbers[place], similarity)
        return None

    def _encoded(self, tokens: Sequence[str]) -> str:
        """A character a token: what RapidFuzz compares fastest."""
        numbers = self._numbers
        try:
            return "".join([chr(numbers.setdefault(token, len(numbers))) for token in tokens])
        except ValueError:
            raise DataError(
                "E-FILTER-051",
                f"the texts have more than {0x110000:,} different tokens",
                why="each has a number, and numbers end there",
                fix="compare a smaller part (on: prompt), or tokens: characters",
            ) from None

    def _needed(self, size: int) -> int:
        """How many of `size` tokens any text at the threshold shares."""
        return ceil(self.threshold * size / (2 - self.threshold) - _ROUNDING)

    def _rarest(self, text: str) -> set[str]:
        """The tokens of which any text at the threshold shares one."""
        return set(sorted(text, reverse=True)[: len(text) - self._needed(len(text)) + 1])


def rouge_l(one: Sequence[str], other: Sequence[str]) -> float:
    """ROUGE-L F of two sequences of tokens, in the arithmetic of ``rouge-score``; 0 if either is empty.

    That computes it from precision and recall, which rounds otherwise than :math:`2 LCS / (m + n)`: of the pairs of
    exactly 0.7 one in twenty comes out below.
    """
    from rapidfuzz.distance import LCSseq

    longest = LCSseq.similarity(one, other)
    if not longest:
        return 0.0
    precision, recall = longest / len(one), longest / len(other)
    return 2 * precision * recall / (precision + recall)
