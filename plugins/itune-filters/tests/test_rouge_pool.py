"""The pool gives what comparing with all of it would give, by the ``rouge-score`` package."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from itune_core.api import DataError
from itune_filters.likeness.rouge_pool import Near, RougePool, rouge_l

SCORER = RougeScorer(["rougeL"], use_stemmer=False)

TEXTS = st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=12), max_size=14)
THRESHOLDS = st.sampled_from([0.05, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])


def reference(one: Sequence[str], other: Sequence[str]) -> float:
    value: float = SCORER.score(" ".join(one), " ".join(other))["rougeL"].fmeasure
    return value


@given(TEXTS, THRESHOLDS, st.booleans())
@settings(max_examples=150)
def test_nearest_is_that_of_the_naive_loop(texts: list[list[str]], threshold: float, counted: bool) -> None:
    pool = RougePool(threshold, Counter(token for text in texts for token in text) if counted else None)
    held: list[list[str]] = []
    for text in texts:
        values = [reference(text, other) for other in held]
        found = pool.nearest(text)
        if max(values, default=0.0) < threshold:
            assert found is None
        else:
            assert found is not None
            assert found == Near(first_of_the_most_like(text, held, values, threshold), values[found.number])
        assert pool.add(text) == len(held)
        held.append(text)
    assert len(pool) == len(held)


def first_of_the_most_like(
    text: Sequence[str], held: Sequence[Sequence[str]], values: Sequence[float], threshold: float
) -> int:
    """The number that is to be named. Without rounding, which sets one of two equal pairs a bit above the other."""
    exact = [
        Fraction(round(value * (len(text) + len(other)) / 2), len(text) + len(other))
        for value, other in zip(values, held, strict=True)
    ]
    reaching = [number for number, value in enumerate(values) if value >= threshold]
    return min(reaching, key=lambda number: (-exact[number], number))


@given(*[st.lists(st.sampled_from("abc"), max_size=40)] * 2)
def test_rouge_l_is_that_of_rouge_score_to_the_bit(one: list[str], other: list[str]) -> None:
    assert rouge_l(one, other) == reference(one, other)


def test_the_first_of_equals_is_named() -> None:
    pool = RougePool(0.7)
    for text in ("x y z", "a b c d", "a b c d"):
        pool.add(text.split())
    assert pool.nearest(["a", "b", "c", "e"]) == Near(1, 0.75)
    assert pool.nearest(["a", "b", "q", "r"]) is None


def test_at_the_threshold_rounding_decides_as_in_rouge_score() -> None:
    m, n = next((m, n) for m in range(1, 80) for n in range(1, m) if _rounds_below(m, n))
    shared = 7 * (m + n) // 20
    one = [f"s{number}" for number in range(shared)] + [f"m{number}" for number in range(m - shared)]
    other = [f"s{number}" for number in range(shared)] + [f"n{number}" for number in range(n - shared)]
    assert 2 * shared / (m + n) == 0.7 > reference(one, other)
    pool = RougePool(0.7)
    pool.add(one)
    assert pool.nearest(other) is None
    # 7 of 10 and 10 does not round to below. RapidFuzz has it equal to the pair before, and gives the first.
    ten = [f"s{number}" for number in range(7)]
    pool = RougePool(0.7)
    pool.add([*ten, "a", "b", "c"])
    assert pool.nearest([*ten, "x", "y", "z"]) == Near(0, reference([*ten, "a", "b", "c"], [*ten, "x", "y", "z"]))


def test_of_two_at_the_threshold_the_one_that_reaches_it_is_found() -> None:
    size, below, above = next(
        (size, below, above)
        for size, below, above in product(range(10, 60), repeat=3)
        if _rounds_below(size, below) and _at(size, above) and not _rounds_below(size, above)
    )
    asked = [f"s{number}" for number in range(size)]
    pool = RougePool(0.7)
    values = []
    for name, other in (("b", below), ("a", above)):
        shared = 7 * (size + other) // 20
        text = asked[:shared] + [f"{name}{number}" for number in range(other - shared)]
        values.append(reference(asked, text))
        pool.add(text)
    assert values[0] < 0.7 <= values[1]
    assert pool.nearest(asked) == Near(1, values[1])


def _at(m: int, n: int) -> bool:
    shared, rest = divmod(7 * (m + n), 20)
    return not rest and shared <= min(m, n)


def _rounds_below(m: int, n: int) -> bool:
    """Whether texts of these lengths with an F of exactly 0.7 come out below."""
    if not _at(m, n):
        return False
    precision, recall = 7 * (m + n) // 20 / n, 7 * (m + n) // 20 / m
    return 2 * precision * recall / (precision + recall) < 0.7


class Full(dict[str, int]):
    """As many tokens as there are characters."""

    def __len__(self) -> int:
        return 0x110000


def test_more_tokens_than_characters_exist_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = RougePool(0.7)
    pool.add([f"t{number}" for number in range(3)])
    monkeypatch.setattr(pool, "_numbers", Full())
    with pytest.raises(DataError, match="E-FILTER-051"):
        pool.add(["one more"])
