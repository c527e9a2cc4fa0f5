"""N-grams by number."""

from __future__ import annotations

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from itune_filters.likeness.shingles import Shingler

TEXTS = st.lists(st.lists(st.sampled_from("abc"), max_size=8), max_size=6)


@given(TEXTS, st.integers(1, 5))
def test_numbers_are_equal_where_ngrams_are(texts: list[list[str]], size: int) -> None:
    named: dict[int, tuple[str, ...]] = {}
    numbers: dict[tuple[str, ...], int] = {}
    for text, found in zip(texts, Shingler(size)(texts), strict=True):
        ngrams = [tuple(text[start : start + size]) for start in range(max(len(text) - size + 1, min(len(text), 1)))]
        assert len(found) == len(ngrams)
        for ngram, number in zip(ngrams, found.tolist(), strict=True):
            assert named.setdefault(number, ngram) == ngram
            assert numbers.setdefault(ngram, number) == number


def test_numbers_are_the_same_in_another_process_and_after_other_texts() -> None:
    code = (
        "from itune_filters.likeness.shingles import Shingler; print(Shingler(2)([['x'], ['b', 'é', 'c']])[1].tolist())"
    )
    elsewhere = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    shingler = Shingler(2)
    shingler([["c", "z", "q"]])
    assert str(shingler([["b", "é", "c"]])[0].tolist()) == elsewhere.strip()


def test_order_and_place_count() -> None:
    one, other, parts = Shingler(3)([["a", "b", "c"], ["c", "b", "a"], ["a", "b"]])
    assert len({*one.tolist(), *other.tolist(), *parts.tolist()}) == 3
