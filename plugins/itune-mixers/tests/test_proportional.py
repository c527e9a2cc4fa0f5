"""Examples-proportional and temperature-scaled mixing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import DataError, Mix
from itune_mixers.proportional import Proportional
from itune_mixers.temperature import Temperature

Mixing = Callable[..., Mix]
SIZES = st.lists(st.integers(0, 40), min_size=1, max_size=5)


def proportional(**settings: Any) -> Proportional:
    return Proportional(Proportional.Config(**settings))


def temperature(value: float, **settings: Any) -> Temperature:
    return Temperature(Temperature.Config(temperature=value, **settings))


def ranges(sizes: list[int]) -> list[range]:
    return list(map(range, sizes))


def counts(mix: Mix, sources: int) -> list[int]:
    times = Counter(item.input for item in mix.draws)
    return [times[number] for number in range(sources)]


@pytest.mark.parametrize(
    ("sizes", "cap", "size", "drawn"),
    [
        # T5's formula by hand: r = min(e, K) / sum of min(e, K).
        ([100, 300], None, 40, [10, 30]),
        ([100, 300], 100, 40, [20, 20]),
        # FLAN's K = 3000 is on the rate: 1000, 3000 and 3000 of 7000, whatever is drawn.
        ([1_000, 5_000, 200_000], 3_000, 700, [100, 300, 300]),
        ([1_000, 5_000, 200_000], 3_000, None, [1_000, 3_000, 3_000]),
        ([1_000, 5_000, 200_000], 3_000, 14_000, [2_000, 6_000, 6_000]),
        ([100, 300], None, None, [100, 300]),
        ([0, 5], None, 3, [0, 3]),
        ([2, 2], None, 100, [50, 50]),
        ([17], 3, 50, [50]),
        # Twelve: one more row each, 78 together; of 156 rows source e gets 2e.
        (list(range(1, 13)), None, 156, list(range(2, 25, 2))),
    ],
)
def test_counts_by_hand(mixed: Mixing, sizes: list[int], cap: int | None, size: int | None, drawn: list[int]) -> None:
    mix = mixed(proportional(cap=cap, size=size), records=ranges(sizes))
    assert counts(mix, len(sizes)) == drawn
    assert sum(mix.asked[0]) == pytest.approx(1)
    for share, count in zip(mix.asked[0], drawn, strict=True):
        assert share * sum(drawn) == pytest.approx(count, abs=1)


@given(
    SIZES.filter(any), st.none() | st.integers(1, 50), st.none() | st.integers(1, 100), st.integers(1, 4), st.integers()
)
def test_draws(mixed: Mixing, sizes: list[int], cap: int | None, size: int | None, epochs: int, seed: int) -> None:
    drawn = list(mixed(proportional(cap=cap, size=size, epochs=epochs), seed, records=ranges(sizes)).draws)
    weights = [min(rows, cap or rows) for rows in sizes]
    assert [item.epoch for item in drawn] == sorted(item.epoch for item in drawn)
    assert {item.phase for item in drawn} == {0}
    assert all(0 <= item.row < sizes[item.input] for item in drawn)
    for epoch in range(epochs):
        once = [item for item in drawn if item.epoch == epoch]
        assert len(once) == (sum(weights) if size is None else size)
        for number, rows in enumerate(sizes):
            times = Counter(item.row for item in once if item.input == number)
            assert abs(sum(times.values()) - len(once) * weights[number] / sum(weights)) < 1
            if times:
                assert max(times.values()) - min(times[row] for row in range(rows)) <= 1


def test_a_source_is_gone_through_over_the_epochs(mixed: Mixing) -> None:
    """The cap is on the rate: four epochs of 25 rows of a source of 100 are all of its rows."""
    drawn = mixed(proportional(cap=25, epochs=4), records=[range(100), range(25)]).draws
    assert sorted(item.row for item in drawn if item.input == 0) == list(range(100))


def test_no_rows_are_drawn_from_nothing(mixed: Mixing) -> None:
    empty = mixed(proportional(), records=ranges([0, 0]))
    assert (empty.draws, empty.asked) == ([], [[0.0, 0.0]])
    with pytest.raises(DataError) as caught:
        mixed(proportional(size=5), records=ranges([0, 0]))
    assert caught.value.code == "E-MIX-001"


def test_the_seed_decides_and_epochs_differ(mixed: Mixing) -> None:
    records = ranges([50, 50])
    drawn = mixed(proportional(epochs=2), 1, records=records).draws
    assert drawn == mixed(proportional(epochs=2), 1, records=records).draws
    assert drawn != mixed(proportional(epochs=2), 2, records=records).draws
    first, second = ([item[:2] for item in drawn if item.epoch == epoch] for epoch in (0, 1))
    assert sorted(first) == sorted(second)
    assert first != second


@pytest.mark.parametrize(
    ("sizes", "value", "cap", "size", "drawn"),
    [
        # T = 2 is the square root: 10 and 30 of 40.
        ([100, 900], 2, None, 40, [10, 30]),
        # The cube root: 1, 2 and 5 of 8.
        ([1, 8, 125], 3, None, 80, [10, 20, 50]),
        # The cap comes before the root, as T5 does it: 400 and 900 count, 20 and 30 of 50.
        ([400, 250_000], 2, 900, 50, [20, 30]),
        # Unset, the size is that of proportional mixing, 1000: 250 of the 100 and 750 of the 900.
        ([100, 900], 2, None, None, [250, 750]),
        # An empty source has the rate 0 at every temperature.
        ([0, 5, 500], 1e9, None, 60, [0, 30, 30]),
        # The limit is equal shares: with T = 1e9 they differ by a part in a hundred million.
        ([1, 1000, 1_000_000], 1e9, None, 300_000, [100_000] * 3),
    ],
)
def test_temperature_by_hand(
    mixed: Mixing, sizes: list[int], value: float, cap: int | None, size: int | None, drawn: list[int]
) -> None:
    mix = mixed(temperature(value, cap=cap, size=size), records=ranges(sizes))
    assert counts(mix, len(sizes)) == drawn
    assert mix.asked[0] == pytest.approx([count / sum(drawn) for count in drawn], abs=1e-6)


@given(SIZES, st.none() | st.integers(1, 50), st.none() | st.integers(1, 100), st.integers(1, 3), st.integers())
def test_temperature_1_is_proportional_draw_for_draw(
    mixed: Mixing, sizes: list[int], cap: int | None, size: int | None, epochs: int, seed: int
) -> None:
    size = size if any(sizes) else None
    settings = {"cap": cap, "size": size, "epochs": epochs}
    records = ranges(sizes)
    assert mixed(temperature(1, **settings), seed, records=records) == mixed(
        proportional(**settings), seed, records=records
    )


@given(SIZES.filter(any), st.floats(1, 100), st.floats(1, 100))
def test_higher_temperatures_are_nearer_to_equal_shares(
    mixed: Mixing, sizes: list[int], one: float, other: float
) -> None:
    low, high = (mixed(temperature(value), records=ranges(sizes)).asked[0] for value in sorted((one, other)))
    assert max(high) <= max(low) + 1e-9
    assert min(share for share in high if share) >= min(share for share in low if share) - 1e-9
