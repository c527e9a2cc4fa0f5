"""Random mixtures."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import DataError, Mix
from itune_mixers.fusion import Fusion, fill

Mixing = Callable[..., Mix]


def fusion(**settings: Any) -> Fusion:
    return Fusion(Fusion.Config(**settings))


def test_a_mixture_has_2000_different_rows_in_the_drawn_proportions(mixed: Mixing) -> None:
    """InstructMining, arXiv:2307.06290: 2000 r_i / sum of r rows of each data set."""
    records = [range(52_002), range(15_011), range(9_846)]
    for number in range(5):
        mix = mixed(fusion(number=number), 7, records=records)
        assert len(mix.draws) == len(set(mix.draws)) == 2000
        times = Counter(item.input for item in mix.draws)
        for source, share in enumerate(mix.asked[0]):
            assert abs(times[source] - 2000 * share) < 1


def test_each_mixture_is_the_same_whatever_others_are_drawn(mixed: Mixing) -> None:
    records = [range(400), range(300)]
    alone = mixed(fusion(number=3, size=50), 7, records=records)
    others = [mixed(fusion(number=number, size=50), 7, records=records) for number in (5, 3, 0)]
    assert others[1] == alone
    assert len({tuple(mix.asked[0]) for mix in others}) == 3
    assert mixed(fusion(number=3, size=50), 8, records=records).asked != alone.asked


def test_weights_are_uniform(mixed: Mixing) -> None:
    """Of two sources the first has the share r1 / (r1 + r2): its mean over 400 mixtures is 1/2, and it is below 1/3,
    where r2 > 2 r1, in a quarter of them; each within six standard deviations."""
    shares = [mixed(fusion(number=number, size=1), records=[range(9)] * 2).asked[0][0] for number in range(400)]
    assert abs(statistics.mean(shares) - 0.5) < 6 * statistics.stdev(shares) / 20
    assert abs(sum(share < 1 / 3 for share in shares) - 100) < 6 * (400 * 0.25 * 0.75) ** 0.5


@pytest.mark.parametrize(
    ("size", "weights", "rows", "counts"),
    [
        (100, [1, 1, 2], [50, 50, 50], [25, 25, 50]),
        # The third is asked for 50 and has 20: the other 80 are shared 1 : 1.
        (100, [1, 1, 2], [50, 50, 20], [40, 40, 20]),
        # Then the first, asked for 40, has 30: the second makes up for both.
        (100, [1, 1, 2], [30, 50, 20], [30, 50, 20]),
        (5, [1, 1], [0, 9], [0, 5]),
        (4, [3, 1], [1, 3], [1, 3]),
    ],
)
def test_a_short_source_gives_all_and_the_others_make_up_for_it(
    size: int, weights: list[float], rows: list[int], counts: list[int]
) -> None:
    assert fill(size, weights, rows) == counts


@given(st.lists(st.tuples(st.floats(0.001, 1), st.integers(0, 30)), min_size=1, max_size=6), st.data())
def test_fill(sources: list[tuple[float, int]], data: st.DataObject) -> None:
    weights, rows = zip(*sources, strict=True)
    size = data.draw(st.integers(0, sum(rows)))
    counts = fill(size, weights, rows)
    assert sum(counts) == size
    assert all(0 <= count <= there for count, there in zip(counts, rows, strict=True))
    free = [number for number, count in enumerate(counts) if count < rows[number]]
    for one in free:
        for other in free:  # those that are not used up stand in the proportion of their weights
            assert (counts[one] - 1) * weights[other] <= (counts[other] + 1) * weights[one] * (1 + 1e-9)


def test_more_rows_than_there_are_cannot_be_drawn(mixed: Mixing) -> None:
    assert len(mixed(fusion(size=12), records=[range(5), range(7)]).draws) == 12
    with pytest.raises(DataError, match="a mixture of 13 different rows cannot be drawn from 12") as caught:
        mixed(fusion(size=13), records=[range(5), range(7)])
    assert caught.value.code == "E-MIX-008"
