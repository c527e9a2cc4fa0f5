"""Layers of rows that are sorted by a score."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from itune_core.api import DataError, Mix
from itune_mixers.drawing import share_out
from itune_mixers.stratum import Stratum

Mixing = Callable[..., Mix]
Scored = Callable[..., datasets.Dataset]


def stratum(**given: Any) -> Stratum:
    return Stratum(Stratum.Config(**{"score": "score.worth", **given}))


def test_layers_hold_all_rows_once_the_highest_first(mixed: Mixing, scored: Scored) -> None:
    sources = {0: [5.0, 1.0, 9.0, 3.0, 3.0], 1: [7.0, 0.0, 8.0, 2.0, 3.0, 6.0]}
    inputs = [scored(values) for values in sources.values()]
    layers = []
    for number in range(4):
        mix = mixed(stratum(strata=4, number=number), records=inputs)
        assert {(item.phase, item.epoch) for item in mix.draws} == {(0, 0)}
        layers.append([(item.input, item.row) for item in mix.draws])
        owners = [sum(item.input == source for item in mix.draws) / len(layers[-1]) for source in sources]
        assert list(mix.asked[0]) == pytest.approx(owners)
    assert [len(layer) for layer in layers] == [3, 3, 3, 2]
    assert sorted(place for layer in layers for place in layer) == [
        (number, row) for number, values in sources.items() for row in range(len(values))
    ]
    worth = [[sources[number][row] for number, row in layer] for layer in layers]
    assert [sorted(layer, reverse=True) for layer in worth] == [[9, 8, 7], [6, 5, 3], [3, 3, 2], [1, 0]]


def test_so_many_different_rows_of_one_layer(mixed: Mixing, scored: Scored) -> None:
    inputs = [scored([float(number) for number in range(40)])]
    drawn = [
        [item.row for item in mixed(stratum(strata=4, number=1, size=6), seed=seed, records=inputs).draws]
        for seed in (1, 2)
    ]
    for rows in drawn:
        assert len(set(rows)) == 6
        assert set(rows) <= set(range(20, 30))
    assert drawn[0] != drawn[1]


@given(st.lists(st.integers(0, 3), min_size=4, max_size=30), st.integers(2, 4))
def test_no_row_of_a_layer_is_worth_less_than_one_of_the_next(
    mixed: Mixing, scored: Scored, worth: list[int], strata: int
) -> None:
    inputs = [scored([float(value) for value in worth])]
    layers = [
        [worth[item.row] for item in mixed(stratum(strata=strata, number=number), records=inputs).draws]
        for number in range(strata)
    ]
    assert [len(layer) for layer in layers] == share_out(len(worth), [1] * strata)
    assert all(min(one) >= max(other) for one, other in pairwise(layers))


def test_too_few_rows_are_not_made_up_for(mixed: Mixing, scored: Scored) -> None:
    with pytest.raises(DataError) as caught:
        mixed(stratum(strata=3, number=2, size=4), records=[scored([1.0] * 9)])
    assert caught.value.code == "E-MIX-030"
    assert "stratum 2, which has 3" in caught.value.what
    with pytest.raises(DataError) as caught:
        mixed(stratum(strata=3, number=2), records=[scored([1.0, 2.0])])
    assert caught.value.code == "E-MIX-030"
    with pytest.raises(DataError) as caught:
        mixed(stratum(), records=[scored([1.0, None])])
    assert caught.value.code == "E-MIX-005"


def test_there_is_no_layer_beyond_the_last() -> None:
    with pytest.raises(ValidationError, match="numbered 0 to 7"):
        stratum(number=8)
