"""From easy to hard."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import datasets
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from itune_core.api import DataError, Mix
from itune_mixers.curriculum import Curriculum
from itune_mixers.pacing import available

Mixing = Callable[..., Mix]
Scored = Callable[..., datasets.Dataset]


def curriculum(**given: Any) -> Curriculum:
    return Curriculum(Curriculum.Config(**{"score": "score.worth", **given}))


@pytest.mark.parametrize(
    ("pacing", "start", "full_at", "fractions"),
    [
        # At 0, 0.25, 0.5, 0.75 and 1 of training, by hand from the formulas of arXiv:1903.09848, section 2.2.
        ("linear", 0.2, 1.0, [0.2, 0.4, 0.6, 0.8, 1.0]),
        ("linear", 0.2, 0.5, [0.2, 0.6, 1.0, 1.0, 1.0]),
        # sqrt(0.36 + 0.64 t) and sqrt(0.04 + 0.96 t / 0.8)
        ("root", 0.6, 1.0, [0.6, math.sqrt(0.52), math.sqrt(0.68), math.sqrt(0.84), 1.0]),
        ("root", 0.2, 0.8, [0.2, math.sqrt(0.34), 0.8, math.sqrt(0.94), 1.0]),
        # arXiv:1904.03626: one step.
        ("step", 0.2, 0.5, [0.2, 0.2, 1.0, 1.0, 1.0]),
        ("step", 1.0, 1.0, [1.0] * 5),
    ],
)
def test_pacing_by_hand(pacing: Any, start: float, full_at: float, fractions: list[float]) -> None:
    found = [available(pacing, start, full_at, point / 4) for point in range(5)]
    assert found == pytest.approx(fractions)


def test_there_is_always_a_row_to_draw(mixed: Mixing, scored: Scored) -> None:
    mix = mixed(curriculum(start=1e-12, steps=3), records=[scored([2.0, 1.0, 3.0])])
    assert mix.draws[0].row == 1


FRACTION = st.floats(0.001, 1)


@given(st.sampled_from(["linear", "root", "step"]), FRACTION, FRACTION, st.lists(st.floats(0, 1), min_size=2))
def test_pacing_never_falls_and_ends_with_all(pacing: Any, start: float, full_at: float, points: list[float]) -> None:
    fractions = [available(pacing, start, full_at, point) for point in sorted(points)]
    assert fractions == sorted(fractions)
    assert all(start - 1e-9 <= fraction <= 1 for fraction in fractions)
    assert available(pacing, start, full_at, 1) == 1
    assert available("root", start, full_at, points[0]) >= available("linear", start, full_at, points[0]) - 1e-9


def test_each_step_draws_from_the_easiest(mixed: Mixing, scored: Scored) -> None:
    """Ten rows with scores 0 to 9, half in each source: 2, 6 and 10 may be drawn in the three steps of 4 draws."""
    inputs = [scored([9, 7, 5, 3, 1]), scored([8, 6, 4, 2, 0])]
    mix = mixed(curriculum(steps=3, start=0.2, full_at=1, size=12), records=inputs)
    of = {(number, row): 9 - 2 * row - number for number in (0, 1) for row in range(5)}
    by_phase = [[of[item[:2]] for item in mix.draws if item.phase == phase] for phase in range(3)]
    assert [len(drawn) for drawn in by_phase] == [4, 4, 4]
    assert sorted(by_phase[0]) == [0, 0, 1, 1], "all that may be drawn came before any came again"
    assert set(by_phase[1]) <= set(range(6))
    assert len(set(by_phase[1])) == len(set(by_phase[2])) == 4
    # Of the easiest 2, 6 and 10 rows, half are in each source.
    assert mix.asked == [[0.5, 0.5]] * 3


def test_descending_begins_with_the_highest(mixed: Mixing, scored: Scored) -> None:
    rows = scored([0.5, 2.5, 1.5, 3.5])
    mix = mixed(curriculum(order="descending", steps=2, start=0.25, size=8), records=[rows])
    assert [item.row for item in mix.draws if item.phase == 0] == [3, 3, 3, 3]
    assert sorted(item.row for item in mix.draws if item.phase == 1) == [0, 1, 2, 3]


def test_epochs_count_on_every_size_draws(mixed: Mixing, scored: Scored) -> None:
    """Two epochs of 6 rows over four steps of 3: two steps an epoch. Three steps of 4: the second is in both."""
    rows = scored([1, 2, 3, 4, 5, 6])
    mix = mixed(curriculum(steps=4, epochs=2), records=[rows])
    assert Counter(item[2:] for item in mix.draws) == {(0, 0): 3, (1, 0): 3, (2, 1): 3, (3, 1): 3}
    mix = mixed(curriculum(steps=3, epochs=2), records=[rows])
    assert Counter(item[2:] for item in mix.draws) == {(0, 0): 4, (1, 0): 2, (1, 1): 2, (2, 1): 4}


@settings(max_examples=50)
@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=12),
    st.sampled_from(["linear", "root", "step"]),
    FRACTION,
    FRACTION,
    st.integers(2, 6),
    st.none() | st.integers(1, 30),
    st.integers(1, 3),
    st.integers(),
)
def test_curriculum(
    mixed: Mixing,
    scored: Scored,
    scores: list[int],
    pacing: Any,
    start: float,
    full_at: float,
    steps: int,
    size: int | None,
    epochs: int,
    seed: int,
) -> None:
    mixer = curriculum(pacing=pacing, start=start, full_at=full_at, steps=steps, size=size, epochs=epochs)
    mix = mixed(mixer, seed, records=[scored(scores)])
    draws = list(mix.draws)
    size = size or len(scores)
    assert [item.epoch for item in draws] == [place // size for place in range(size * epochs)]
    assert [item.phase for item in draws] == sorted(item.phase for item in draws)
    assert len(mix.asked) == steps
    for phase in range(steps):
        drawn = [item.row for item in draws if item.phase == phase]
        assert abs(len(drawn) - size * epochs / steps) < 1
        fraction = available(pacing, start, full_at, phase / (steps - 1))
        open_to_all = math.ceil(round(fraction * len(scores), 9))
        assert all(scores[row] <= sorted(scores)[open_to_all - 1] for row in drawn)
        times = Counter(drawn)
        assert len(times) == min(len(drawn), open_to_all)
        assert not times or max(times.values()) - min(times.values()) <= 1


def test_rows_of_equal_score_come_in_random_order(mixed: Mixing, scored: Scored) -> None:
    """Of 20 equal rows the easiest 5 are another five under each seed: under 400, each row is among them 100 times."""
    rows = scored([1] * 20)
    mixer = curriculum(steps=2, start=0.25, full_at=1, size=10)
    times = Counter(item.row for seed in range(400) for item in mixed(mixer, seed, records=[rows]).draws[:5])
    assert all(abs(times[row] - 100) < 6 * (400 * 0.25 * 0.75) ** 0.5 for row in range(20))


def test_a_row_without_a_score_is_an_error_that_names_it(mixed: Mixing, scored: Scored) -> None:
    with pytest.raises(DataError) as caught:
        mixed(curriculum(), records=[scored([1.0, 2.0]), scored([1.0, None], name="s")])
    assert caught.value.code == "E-MIX-005"
    assert caught.value.where == "record s1"


def test_no_rows(mixed: Mixing, scored: Scored) -> None:
    assert mixed(curriculum(), records=[scored([])]).draws == []
    with pytest.raises(DataError) as caught:
        mixed(curriculum(size=4), records=[scored([])])
    assert caught.value.code == "E-MIX-001"


def test_it_reads_its_column_alone() -> None:
    assert curriculum(score="score.ifd").reads() == ("score.ifd",)
    with pytest.raises(ValidationError):
        curriculum(score="ifd")


def test_equal_seeds_give_equal_draws(mixed: Mixing, scored: Scored) -> None:
    rows = [scored(list(range(30)))]
    assert mixed(curriculum(), 1, records=rows) == mixed(curriculum(), 1, records=rows)
    assert mixed(curriculum(), 1, records=rows).draws != mixed(curriculum(), 2, records=rows).draws
