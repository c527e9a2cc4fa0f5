from __future__ import annotations

from collections import Counter
from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import derive_rng
from itune_trainers.rows.order import batches, changes, groups


@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 4), st.booleans())
def test_every_record_once_an_epoch(count: int, size: int, epochs: int, shuffled: bool) -> None:
    steps = batches(count, size, epochs, (lambda epoch: derive_rng(epoch)) if shuffled else None)
    per_epoch = -(-count // size)
    assert len(steps) == epochs * per_epoch
    for epoch in range(epochs):
        mine = steps[epoch * per_epoch : (epoch + 1) * per_epoch]
        assert Counter(number for step in mine for number in step) == Counter(range(count))
        assert all(len(step) == size for step in mine[:-1])


def test_epochs_are_shuffled_differently() -> None:
    first, second = batches(30, 30, 2, derive_rng)
    assert first != second


def test_unshuffled_keeps_the_order() -> None:
    assert batches(5, 2, 2, None) == [[0, 1], [2, 3], [4], [0, 1], [2, 3], [4]]


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=40), st.integers(1, 9), st.integers(1, 3))
def test_no_step_holds_records_of_two_parts(parts: list[str], size: int, epochs: int) -> None:
    steps = batches(len(parts), size, epochs, None, changes(parts))
    assert [number for step in steps for number in step] == [*range(len(parts))] * epochs
    assert all(len({parts[number] for number in step}) == 1 for step in steps)
    lengths = [len(list(group)) for _, group in groupby(parts)]
    assert len(steps) == epochs * sum(-(-length // size) for length in lengths)


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(1, 80))
def test_groups_keep_order_and_bound(sizes: list[int], limit: int) -> None:
    made = groups(sizes, limit)
    assert [number for group in made for number in group] == list(range(len(sizes)))
    for group in made:
        assert len(group) == 1 or sum(sizes[number] for number in group) <= limit
