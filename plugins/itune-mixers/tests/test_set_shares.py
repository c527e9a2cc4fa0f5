"""Shares that are set, by source and by family, and shares by quality."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from itune_core.api import DataError, Mix
from itune_mixers.families import Families
from itune_mixers.quality_weighted import QualityWeighted
from itune_mixers.weighted import Weighted

Mixing = Callable[..., Mix]
Scored = Callable[..., datasets.Dataset]


def weighted(*shares: float, **settings: Any) -> Weighted:
    return Weighted(Weighted.Config(shares=list(shares), **settings))


def families(shares: dict[str, float], **settings: Any) -> Families:
    return Families(Families.Config(shares=shares, **settings))


def quality(**settings: Any) -> QualityWeighted:
    return QualityWeighted(QualityWeighted.Config(**{"score": "score.worth", **settings}))


def counts(mix: Mix) -> list[int]:
    times = Counter(item.input for item in mix.draws)
    return [times[number] for number in range(len(mix.asked[0]))]


@pytest.mark.parametrize(
    ("shares", "sizes", "size", "drawn"),
    [
        # FLAN 2022, arXiv:2301.13688 (flan/v2/run_example.py): the sizes do not count.
        ([0.40, 0.32, 0.20, 0.05, 0.03], [9, 999, 99, 5, 7], 1000, [400, 320, 200, 50, 30]),
        # Parts of their sum; unset, the size is the rows of the sources with a share.
        ([3, 1], [100, 20], None, [90, 30]),
        ([1, 0], [100, 20], None, [100, 0]),
        # A share of 0 may be of an empty source.
        ([0, 1], [0, 3], 5, [0, 5]),
        ([2], [3], 6, [6]),
        ([1] * 12, list(range(1, 13)), 24, [2] * 12),
    ],
)
def test_set_shares_by_hand(
    mixed: Mixing, shares: list[float], sizes: list[int], size: int | None, drawn: list[int]
) -> None:
    mix = mixed(weighted(*shares, size=size), records=list(map(range, sizes)))
    assert counts(mix) == drawn
    assert mix.asked[0] == pytest.approx([share / sum(shares) for share in shares])


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(1, 20)), min_size=1, max_size=5).filter(lambda s: any(s)),
    st.integers(1, 300),
    st.integers(1, 3),
    st.integers(),
)
def test_a_source_that_ran_out_starts_over(
    mixed: Mixing, sources: list[tuple[float, int]], size: int, epochs: int, seed: int
) -> None:
    shares = [share for share, _ in sources]
    if not sum(shares):
        shares = [1.0 for _ in shares]
    records = [range(rows) for _, rows in sources]
    drawn = list(mixed(weighted(*shares, size=size, epochs=epochs), seed, records=records).draws)
    assert len(drawn) == size * epochs
    for number, (share, (_, rows)) in enumerate(zip(shares, sources, strict=True)):
        times = Counter(item.row for item in drawn if item.input == number)
        assert abs(sum(times.values()) - size * epochs * share / sum(shares)) < epochs
        assert not times or max(times.values()) - min(times[row] for row in range(rows)) <= 1


def test_shares_that_cannot_be_kept_are_errors(mixed: Mixing) -> None:
    with pytest.raises(DataError, match=r"a share of 0.25 is asked of records\[1\], which has no rows") as caught:
        mixed(weighted(3, 1), records=[range(9), range(0)])
    assert caught.value.code == "E-MIX-002"
    with pytest.raises(DataError, match="there are 2 shares for 3 sources") as caught:
        mixed(weighted(3, 1), records=[range(9)] * 3)
    assert caught.value.code == "E-MIX-003"
    for shares in ([], [0, 0], [-1, 2]):
        with pytest.raises(ValidationError):
            weighted(*shares)
    # Where there is nothing at all, and no size is asked for, nothing is drawn.
    assert mixed(weighted(3, 1), records=[range(0)] * 2).draws == []


def test_families_by_hand(mixed: Mixing) -> None:
    """Within a family by size with the cap: of nlp's half, min(300, 200) : min(100, 200) = 2 : 1."""
    inputs = {"nlp": [range(300), range(100)], "chat": [range(10)], "synthetic": [range(0), range(50)]}
    mix = mixed(families({"nlp": 0.5, "chat": 0.3, "synthetic": 0.2}, cap=200, size=300), **inputs)
    assert counts(mix) == [100, 50, 90, 0, 60]
    assert mix.asked[0] == pytest.approx([1 / 3, 1 / 6, 0.3, 0, 0.2])
    # Unset, the size is what the families with a share count for: 200 + 100 + 10.
    mix = mixed(families({"nlp": 2, "chat": 3, "synthetic": 0}, cap=200), **inputs)
    assert sum(counts(mix)) == 310
    assert mix.asked[0] == pytest.approx([0.4 * 2 / 3, 0.4 / 3, 0.6, 0, 0])


def test_a_family_that_is_left_out_has_no_place_among_the_inputs(mixed: Mixing) -> None:
    for one, other in (("nlp", "synthetic"), ("chat", "synthetic"), ("nlp", "chat")):
        mix = mixed(families({one: 1, other: 1}), **{one: [range(4)], other: [range(4)]})
        assert counts(mix) == [4, 4]


@pytest.mark.parametrize(
    ("shares", "inputs", "code", "said"),
    [
        ({"nlp": 1, "chat": 1}, {"nlp": [range(3)]}, "E-MIX-006", "'chat' has a share and is not given"),
        ({"nlp": 1}, {"nlp": [range(3)], "chat": [range(3)]}, "E-MIX-006", "'chat' is given and has no share"),
        ({"nlp": 1, "chat": 3}, {"nlp": [range(3)], "chat": [range(0)]}, "E-MIX-002", "0.75 is asked of the family"),
    ],
)
def test_families_and_shares_go_together(
    mixed: Mixing, shares: dict[str, float], inputs: dict[str, Any], code: str, said: str
) -> None:
    with pytest.raises(DataError, match=said) as caught:
        mixed(families(shares), **inputs)
    assert caught.value.code == code


def test_unknown_families_and_empty_shares_are_refused() -> None:
    for shares in ({"web": 1}, {}, {"nlp": 0}, {"nlp": -1}):
        with pytest.raises(ValidationError):
            families(shares)


@pytest.mark.parametrize(
    ("scores", "settings", "expected"),
    [
        # Equal means: only sizes count, then only their roots, then nothing.
        ([[1, 1, 1], [1]], {}, [3, 1]),
        ([[1] * 16, [1]], {"alpha": 0.5}, [4, 1]),
        ([[1] * 16, [1]], {"alpha": 0}, [1, 1]),
        # Means 2 and 3: e times as many of the second.
        ([[1, 3], [3, 3]], {}, [1, math.e]),
        ([[1, 3], [3, 3]], {"strength": 2}, [1, math.e**2]),
        ([[1, 3], [3, 3]], {"strength": -1}, [math.e, 1]),
        ([[1, 3], [3, 3]], {"strength": 0}, [1, 1]),
        # The scale is free: exp(1000) would overflow, the shares do not.
        ([[1000.0], [1001.0]], {}, [1, math.e]),
        # A bool is 0 or 1.
        ([[True, False], [True, True]], {"strength": 2}, [1, math.e]),
        # An empty source has no mean, and the rate 0.
        ([[], [1.0, 2.0]], {}, [0, 1]),
    ],
)
def test_quality_by_hand(
    mixed: Mixing, scored: Scored, scores: list[list[Any]], settings: dict[str, Any], expected: list[float]
) -> None:
    mix = mixed(quality(size=10_000, **settings), records=[scored(each) for each in scores])
    shares = [rate / sum(expected) for rate in expected]
    assert mix.asked[0] == pytest.approx(shares)
    assert counts(mix) == pytest.approx([10_000 * share for share in shares], abs=1)


def test_quality_reads_its_column_alone() -> None:
    assert quality(score="score.judge.helpful").reads() == ("score.judge.helpful",)
    for wrong in ("judge", "score.", "score.Judge", "score.a.b.c", "meta"):
        with pytest.raises(ValidationError):
            quality(score=wrong)


@pytest.mark.parametrize(
    ("scores", "code", "said"),
    [
        ([1.0, None, 3.0, None], "E-MIX-005", "2 of 4 of records\\[1\\] lack score.worth"),
        ([1.0, math.nan], "E-MIX-005", "1 of 2 of"),
        ([None, None], "E-MIX-005", "2 of 2 of"),
        (["good", "bad"], "E-MIX-004", "records\\[1\\] has no numbers in the column 'score.worth'"),
    ],
)
def test_a_row_without_a_score_is_an_error_that_names_it(
    mixed: Mixing, scored: Scored, scores: list[Any], code: str, said: str
) -> None:
    with pytest.raises(DataError, match=said) as caught:
        mixed(quality(), records=[scored([1.0]), scored(scores, name="bad")])
    assert caught.value.code == code
    if code == "E-MIX-005":
        assert "record bad" in str(caught.value)


def test_a_source_without_the_column_is_an_error(mixed: Mixing, scored: Scored) -> None:
    with pytest.raises(DataError, match="it has no such column") as caught:
        mixed(quality(), records=[scored([1.0]), scored([1.0], column="score.other")])
    assert caught.value.code == "E-MIX-004"


def test_nothing_is_drawn_from_nothing(mixed: Mixing, scored: Scored) -> None:
    assert mixed(quality(), records=[scored([])]).draws == []
    with pytest.raises(DataError) as caught:
        mixed(quality(size=3), records=[scored([])])
    assert caught.value.code == "E-MIX-001"
