"""Some of one kind of data among another: pre-training text, and rows of an earlier stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import DataError, Kind, Mix
from itune_mixers.replay import Replay
from itune_mixers.stages import Stages

Mixing = Callable[..., Mix]
SIZES = st.lists(st.integers(0, 30), min_size=1, max_size=3).filter(any)


def replay(**settings: Any) -> Replay:
    return Replay(Replay.Config(**settings))


def stages(**settings: Any) -> Stages:
    return Stages(Stages.Config(**settings))


def ranges(sizes: list[int]) -> list[range]:
    return list(map(range, sizes))


def counts(mix: Mix, phase: int = 0) -> list[int]:
    times = Counter(item.input for item in mix.draws if item.phase == phase)
    return [times[number] for number in range(len(mix.asked[0]))]


@pytest.mark.parametrize(
    ("records", "text", "share", "size", "drawn"),
    [
        # 95 records are 0.95 of 100 rows.
        ([95], [1000], 0.05, None, [95, 5]),
        ([60, 35], [1000, 1000], 0.05, None, [60, 35, 3, 2]),
        # A quarter of 40, from two texts of 1 : 4 rows.
        ([500], [10, 40], 0.25, 40, [30, 2, 8]),
        # The text is short: 3 rows give 20.
        ([80], [3], 0.2, None, [80, 20]),
        ([7], [3], 0, None, [7, 0]),
        ([7], [0], 0, None, [7, 0]),
    ],
)
def test_replay_by_hand(
    mixed: Mixing, records: list[int], text: list[int], share: float, size: int | None, drawn: list[int]
) -> None:
    mix = mixed(replay(share=share, size=size), records=ranges(records), text=ranges(text))
    assert counts(mix) == drawn
    assert sum(mix.asked[0][len(records) :]) == pytest.approx(share)


@given(SIZES, SIZES, st.floats(0, 0.9), st.integers(1, 3), st.integers())
def test_every_record_comes_once_an_epoch_and_text_makes_the_share(
    mixed: Mixing, records: list[int], text: list[int], share: float, epochs: int, seed: int
) -> None:
    mix = mixed(replay(share=share, epochs=epochs), seed, records=ranges(records), text=ranges(text))
    draws = list(mix.draws)
    for epoch in range(epochs):
        once = [item for item in draws if item.epoch == epoch]
        own = [item for item in once if item.input < len(records)]
        assert len(own) == len({item[:2] for item in own}) == sum(records)
        assert abs(len(once) - len(own) - share * len(once)) < 1
    for number, rows in enumerate(text, start=len(records)):
        times = Counter(item.row for item in draws if item.input == number)
        assert not times or max(times.values()) - min(times[row] for row in range(rows)) <= 1


def test_text_is_spread_over_the_epoch_and_goes_on_in_the_next(mixed: Mixing) -> None:
    draws = list(mixed(replay(share=0.1, epochs=2), 3, records=[range(900)], text=[range(200)]).draws)
    first, second = ([item.row for item in draws if item.input and item.epoch == epoch] for epoch in (0, 1))
    assert sorted(first + second) == list(range(200))
    # Of 100 texts among 1000 rows the tenths of the epoch hold 10 each, with a standard deviation of at most 3.
    tenths = Counter(place // 100 for place, item in enumerate(draws[:1000]) if item.input)
    assert all(abs(tenths[number] - 10) < 18 for number in range(10))
    assert sum(one.input != other.input for one, other in pairwise(draws[:1000])) > 100


def test_replay_takes_text_and_mixes_it_with_conversations() -> None:
    assert Replay.mixes_kinds
    assert Replay.inputs["text"].kinds == (Kind.TEXT,)
    assert Replay.inputs["records"].kinds == (Kind.CONVERSATION,)


@pytest.mark.parametrize(("records", "text", "named"), [([5], [0], "'text'"), ([0], [5], "'records'")])
def test_nothing_can_be_replayed_from_nothing(mixed: Mixing, records: list[int], text: list[int], named: str) -> None:
    with pytest.raises(DataError, match=named) as caught:
        mixed(replay(size=10), records=ranges(records), text=ranges(text))
    assert caught.value.code == "E-MIX-002"


def test_stages_by_hand(mixed: Mixing) -> None:
    """Phase 0: 1000 and 2 x 1000 rows, capped to 500 and 1000. Phase 1: 90 rows of its own are 0.9 of 100; the ten
    others come from the first stage as 1 : 2, so 3 and 7 (3.33 and 6.67)."""
    mix = mixed(stages(first={"cap": 1000}), first=ranges([500, 2000]), second=ranges([60, 30]))
    assert counts(mix, 0) == [500, 1000, 0, 0]
    assert counts(mix, 1) == [3, 7, 60, 30]
    assert mix.asked[0] == pytest.approx([1 / 3, 2 / 3, 0, 0])
    assert mix.asked[1] == pytest.approx([0.1 / 3, 0.2 / 3, 0.6, 0.3])


def test_each_stage_has_a_size_and_epochs_of_its_own(mixed: Mixing) -> None:
    settings = {"first": {"size": 40, "epochs": 1}, "second": {"size": 20, "epochs": 3, "cap": 5}, "replay": 0.25}
    mix = mixed(stages(**settings), first=ranges([1000]), second=ranges([5, 50]))
    assert counts(mix, 0) == [40, 0, 0]
    assert Counter(item.epoch for item in mix.draws if item.phase == 1) == {0: 20, 1: 20, 2: 20}
    assert mix.asked[1] == pytest.approx([0.25, 0.375, 0.375])


@given(SIZES, SIZES, st.floats(0, 0.9), st.integers(1, 3), st.none() | st.integers(1, 40), st.integers())
def test_stages(
    mixed: Mixing, first: list[int], second: list[int], share: float, epochs: int, size: int | None, seed: int
) -> None:
    settings = {"first": {"size": size}, "second": {"epochs": epochs}, "replay": share}
    mix = mixed(stages(**settings), seed, first=ranges(first), second=ranges(second))
    draws = list(mix.draws)
    assert [item[2:] for item in draws] == sorted(item[2:] for item in draws)
    seen = {item[:2] for item in draws if item.phase == 0}
    assert all(item.input < len(first) for item in draws if item.phase == 0)
    again = [item for item in draws if item.phase == 1 and item.input < len(first)]
    assert {item[:2] for item in again} <= seen, "what is replayed was there before"
    for epoch in range(epochs):
        once = [item for item in draws if item.phase == 1 and item.epoch == epoch]
        own = [item for item in once if item.input >= len(first)]
        assert len(own) == len({item[:2] for item in own}) == sum(second)
        assert abs(len(once) - len(own) - share * len(once)) < 1
    for shares in mix.asked:
        assert sum(shares) == pytest.approx(1)


@pytest.mark.parametrize(("first", "second", "named"), [([0, 0], [3], "'first'"), ([3], [0], "'second'")])
def test_a_stage_needs_rows(mixed: Mixing, first: list[int], second: list[int], named: str) -> None:
    with pytest.raises(DataError, match=named) as caught:
        mixed(stages(), first=ranges(first), second=ranges(second))
    assert caught.value.code == "E-MIX-007"


def test_equal_seeds_give_equal_draws(mixed: Mixing) -> None:
    inputs = {"first": [range(50)], "second": [range(20)]}
    assert mixed(stages(), 1, **inputs) == mixed(stages(), 1, **inputs)
    assert mixed(stages(), 1, **inputs).draws != mixed(stages(), 2, **inputs).draws
    inputs = {"records": [range(50)], "text": [range(20)]}
    assert mixed(replay(), 1, **inputs) == mixed(replay(), 1, **inputs)
    assert mixed(replay(), 1, **inputs).draws != mixed(replay(), 2, **inputs).draws
