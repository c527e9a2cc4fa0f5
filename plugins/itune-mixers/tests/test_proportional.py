from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from random import Random
from typing import Any

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import DataError, Drawn, Kind, example, features
from itune_core.testing import BenchContext
from itune_mixers.proportional import Proportional, allocate, passes

SIZES = st.lists(st.integers(0, 40), min_size=1, max_size=5)


def draw(sizes: list[int], seed: int = 0, **settings: Any) -> list[Drawn]:
    return list(Proportional(Proportional.Config(**settings)).draw(sizes, Random(seed)))


@pytest.mark.parametrize(
    ("sizes", "cap", "size", "counts"),
    [
        # T5's formula by hand: r = min(e, K) / sum of min(e, K).
        ([100, 300], None, 40, [10, 30]),
        ([100, 300], 100, 40, [20, 20]),
        ([1_000, 5_000, 200_000], 3_000, 700, [100, 300, 300]),
        ([1_000, 5_000, 200_000], 3_000, None, [1_000, 3_000, 3_000]),
        ([100, 300], None, None, [100, 300]),
        # Largest remainders: 10 x (1/3, 1/3, 1/3) leaves one row, which the earliest source gets.
        ([7, 7, 7], None, 10, [4, 3, 3]),
        # 10 x (6/11, 4/11, 1/11) = 5.45, 3.64, 0.91.
        ([6, 4, 1], None, 10, [5, 4, 1]),
        ([0, 5], None, 3, [0, 3]),
        ([2, 2], None, 100, [50, 50]),
    ],
)
def test_allocation(sizes: list[int], cap: int | None, size: int | None, counts: list[int]) -> None:
    assert allocate(sizes, cap, size) == counts


@given(SIZES.filter(any), st.none() | st.integers(1, 50), st.integers(1, 200))
def test_counts_sum_to_the_size_and_are_within_one_row_of_their_share(
    sizes: list[int], cap: int | None, size: int
) -> None:
    counts = allocate(sizes, cap, size)
    weights = [min(rows, cap or rows) for rows in sizes]
    assert sum(counts) == size
    for count, weight in zip(counts, weights, strict=True):
        assert abs(count - Fraction(size * weight, sum(weights))) < 1
        assert weight or not count


@given(
    SIZES.filter(any), st.none() | st.integers(1, 50), st.none() | st.integers(1, 100), st.integers(1, 4), st.integers()
)
def test_draws(sizes: list[int], cap: int | None, size: int | None, epochs: int, seed: int) -> None:
    drawn = draw(sizes, seed, cap=cap, size=size, epochs=epochs)
    counts = allocate(sizes, cap, size)
    assert [item.epoch for item in drawn] == sorted(item.epoch for item in drawn)
    assert all(0 <= item.row < sizes[item.input] for item in drawn)
    for number, rows in enumerate(sizes):
        mine = [item for item in drawn if item.input == number]
        assert len(mine) == counts[number] * epochs
        for epoch in range(epochs):
            once = [item.row for item in mine if item.epoch == epoch]
            assert len(once) == counts[number]
            assert_even(once, rows)
        assert_even([item.row for item in mine], rows)


def assert_even(drawn: list[int], rows: int) -> None:
    """Without replacement: no row came twice more often than another came at all."""
    times = Counter(drawn)
    if drawn:
        assert max(times.values()) - min(times[row] for row in range(rows)) <= 1


@given(st.integers(1, 12), st.integers(1, 30), st.integers())
def test_passes_go_through_all_rows_before_any_comes_again(rows: int, count: int, seed: int) -> None:
    stream = [row for taken in islice(passes(rows, count, Random(seed)), 10) for row in taken]
    for start in range(0, len(stream) - rows + 1, rows):
        assert sorted(stream[start : start + rows]) == list(range(rows))


def test_no_rows_are_drawn_from_nothing() -> None:
    assert draw([0, 0]) == []
    with pytest.raises(DataError) as caught:
        draw([0, 0], size=5)
    assert caught.value.code == "E-MIX-001"


def test_the_seed_decides_and_epochs_differ() -> None:
    assert draw([50, 50], 1, epochs=2) == draw([50, 50], 1, epochs=2)
    assert draw([50, 50], 1) != draw([50, 50], 2)
    drawn = draw([50, 50], 1, epochs=2)
    first, second = ([(item.input, item.row) for item in drawn if item.epoch == epoch] for epoch in (0, 1))
    assert sorted(first) == sorted(second)
    assert first != second


def test_sources_are_mingled() -> None:
    inputs = [item.input for item in draw([500, 500], 3)]
    changes = sum(one != other for one, other in pairwise(inputs))
    # Expected 499.5 with a standard deviation of 15.8; sources one after the other change once.
    assert abs(changes - 499.5) < 6 * 15.8


def test_every_row_has_the_same_chance() -> None:
    """Of 20 rows 5 are drawn under 400 seeds: each comes 100 times, give or take six standard deviations."""
    times = Counter(item.row for seed in range(400) for item in draw([20, 20], seed, size=10) if item.input == 0)
    assert sum(times.values()) == 2_000
    assert all(abs(times[row] - 100) < 6 * (400 * 0.25 * 0.75) ** 0.5 for row in range(20))


def test_through_the_hook(tmp_path: Path) -> None:
    schema = features(Kind.TEXT)
    inputs = [
        datasets.Dataset.from_list(
            [dict(example(Kind.TEXT).replace(id=f"{n}/{row}")) for row in range(n)], features=schema
        )
        for n in (3, 6)
    ]
    mixer = Proportional(Proportional.Config(cap=3))
    drawn = list(mixer.itune_mix(inputs={"records": inputs}, context=BenchContext(tmp_path, seed=5)))
    assert Counter(item.input for item in drawn) == {0: 3, 1: 3}
    assert len(set(drawn)) == 6
    assert drawn == list(mixer.itune_mix(inputs={"records": inputs}, context=BenchContext(tmp_path, seed=5)))
