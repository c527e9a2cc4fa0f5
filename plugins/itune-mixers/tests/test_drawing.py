"""Counts from shares, and rows without replacement."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import islice, pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import DataError
from itune_mixers.drawing import draw_epochs, passes, permutations, share_out, share_out_by_group

WEIGHTS = st.lists(st.integers(0, 40) | st.floats(0, 1e6), min_size=1, max_size=6).filter(any)


@pytest.mark.parametrize(
    ("size", "weights", "counts"),
    [
        (40, [100, 300], [10, 30]),
        # Largest remainders: 10 x (1/3, 1/3, 1/3) leaves one row, which the earliest gets.
        (10, [7, 7, 7], [4, 3, 3]),
        # 10 x (6/11, 4/11, 1/11) = 5.45, 3.64, 0.91: two rows are left, for the second and the third.
        (10, [6, 4, 1], [5, 4, 1]),
        # Hare's method: 101 x (0.5, 0.3, 0.2) = 50.5, 30.3, 20.2.
        (101, [0.5, 0.3, 0.2], [51, 30, 20]),
        # None of these is a binary fraction; the shares are whole all the same.
        (1000, [0.40, 0.32, 0.20, 0.05, 0.03], [400, 320, 200, 50, 30]),
        (3, [0, 5], [0, 3]),
        (0, [0, 5], [0, 0]),
        (0, [0, 0], [0, 0]),
    ],
)
def test_shares_by_hand(size: int, weights: list[float], counts: list[int]) -> None:
    assert share_out(size, weights) == counts


@given(st.integers(0, 10**7), WEIGHTS)
def test_counts_sum_to_the_size_and_are_within_one_row_of_their_share(size: int, weights: list[float]) -> None:
    counts = share_out(size, weights)
    assert sum(counts) == size
    total = sum(map(Fraction, weights))
    for count, weight in zip(counts, weights, strict=True):
        assert abs(count - size * Fraction(weight) / total) < 1
        assert weight or not count


def test_groups_keep_their_share_where_members_could_not() -> None:
    """Of 34 rows 29.35 and twice 2.32: the one row left over is the first's by itself, and the others' as a group."""
    weights = [0.86328125, 0.068359375, 0.068359375]
    assert share_out(34, weights) == [30, 2, 2]
    assert share_out_by_group(34, weights, [range(1), range(1, 3)]) == [29, 3, 2]


@given(st.integers(0, 10**6), WEIGHTS, st.integers(0, 6))
def test_groups_and_members_are_near_their_share(size: int, weights: list[float], border: int) -> None:
    border = min(border, len(weights))
    groups = [range(border), range(border, len(weights))]
    counts = share_out_by_group(size, weights, groups)
    shares = [size * Fraction(weight) / sum(map(Fraction, weights)) for weight in weights]
    assert all(abs(count - share) < 2 for count, share in zip(counts, shares, strict=True))
    for group in groups:
        assert abs(sum(counts[number] for number in group) - sum(shares[number] for number in group)) < 1


def test_no_rows_are_drawn_from_nothing() -> None:
    with pytest.raises(DataError) as caught:
        share_out(5, [0, 0.0])
    assert caught.value.code == "E-MIX-001"


@given(st.integers(0, 4), st.integers(0, 50), st.integers())
def test_permutations(times: int, count: int, seed: int) -> None:
    orders = permutations(times, count, Random(seed))
    assert orders.shape == (times, count)
    assert all(sorted(order) == list(range(count)) for order in orders.tolist())
    assert (orders == permutations(times, count, Random(seed))).all()


def test_every_order_is_as_likely() -> None:
    """Of 24,000 orders of four each of the 24 comes 1,000 times, give or take six standard deviations."""
    times = Counter(map(tuple, permutations(24_000, 4, Random(5)).tolist()))
    assert len(times) == 24
    assert all(abs(count - 1000) < 6 * (24_000 / 24 * 23 / 24) ** 0.5 for count in times.values())


def test_the_orders_are_these() -> None:
    """They follow from the generator's bits, so they are the same in every version of Python and numpy.

    By hand: the 64-bit keys of ``Random(1).randbytes(32)``, sorted.
    """
    bits = Random(1).randbytes(32)
    keys = [int.from_bytes(bits[8 * number : 8 * number + 8], "little") for number in range(4)]
    assert permutations(1, 4, Random(1)).tolist() == [sorted(range(4), key=keys.__getitem__)]
    # The Mersenne twister's first word under seed 1, 0x2265b1f5: Random(1).random() is 0.1343642 = 0x2265b1f5 / 2**32.
    assert bits[:4].hex() == "f5b16522"


def assert_even(drawn: list[int], pool: list[int]) -> None:
    """Without replacement: no row came twice more often than another came at all."""
    times = Counter(drawn)
    if drawn:
        assert max(times.values()) - min(times[row] for row in pool) <= 1


@given(st.integers(1, 12), st.integers(0, 40), st.integers(0, 9), st.integers())
def test_passes_go_through_all_rows_before_any_comes_again(rows: int, count: int, start: int, seed: int) -> None:
    pool = np.arange(start, start + rows)
    lists = [taken.tolist() for taken in islice(passes(pool, count, Random(seed)), 10)]
    stream = [row for taken in lists for row in taken]
    for begin in range(0, len(stream) - rows + 1, rows):
        assert sorted(stream[begin : begin + rows]) == pool.tolist()
    for taken in lists:
        assert len(taken) == count
        assert_even(taken, pool.tolist())


def test_of_an_empty_pool_nothing_is_taken() -> None:
    assert next(passes(np.arange(0), 0, Random(0))).tolist() == []


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 20)), max_size=4), st.integers(1, 4), st.integers())
def test_epochs(sources: list[tuple[int, int]], epochs: int, seed: int) -> None:
    starts = [100 * number for number in range(len(sources))]
    pools = [np.arange(start, start + rows) for start, (rows, _) in zip(starts, sources, strict=True)]
    blocks = draw_epochs([np.arange(0), *pools], [0, *(count for _, count in sources)], epochs, Random(seed), phase=3)
    assert [(block.phase, block.epoch) for block in blocks] == [(3, epoch) for epoch in range(epochs)]
    for pool, (_, count) in zip(pools, sources, strict=True):
        mine = [[row for row in block.places.tolist() if row in pool] for block in blocks]
        assert [len(taken) for taken in mine] == [count] * epochs
        for rows in [*mine, [row for taken in mine for row in taken]]:
            assert_even(rows, pool.tolist())


def test_sources_are_mingled() -> None:
    (block,) = draw_epochs([np.arange(500), np.arange(500, 1000)], [500, 500], 1, Random(3))
    changes = sum((one < 500) != (other < 500) for one, other in pairwise(block.places.tolist()))
    # Expected 500 with a standard deviation of 15.8; sources one after the other change once.
    assert abs(changes - 500) < 6 * 15.8


def test_every_row_has_the_same_chance() -> None:
    """Of 20 rows 5 are drawn under 400 seeds: each comes 100 times, give or take six standard deviations."""
    times = Counter(row for seed in range(400) for row in next(passes(np.arange(20), 5, Random(seed))).tolist())
    assert sum(times.values()) == 2_000
    assert all(abs(times[row] - 100) < 6 * (400 * 0.25 * 0.75) ** 0.5 for row in range(20))
