from __future__ import annotations

import random
from collections.abc import Sequence
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_formatters.preferences.pairing import Pairing, pair

SCORES = st.lists(st.sampled_from([1.0, 2.0, 2.5, 4.0]), max_size=6)


@pytest.mark.parametrize(
    ("scores", "how", "pairs"),
    [
        ([3, 1, 2], "adjacent", [(0, 2), (2, 1)]),
        ([3, 1, 3], "adjacent", [(0, 1), (2, 1)]),
        ([3, 1, 2], "all", [(0, 2), (0, 1), (2, 1)]),
        ([2, 2, 1, 1], "all", [(0, 2), (0, 3), (1, 2), (1, 3)]),
        ([3, 1, 2], "best-worst", [(0, 1)]),
        ([2, 2], "all", []),
        ([2], "best-worst", []),
        ([], "best-random", []),
    ],
)
def test_by_hand(scores: Sequence[float], how: Pairing, pairs: list[tuple[int, int]]) -> None:
    assert pair(scores, how, random.Random(0)) == pairs


@given(scores=SCORES, how=st.sampled_from(get_args(Pairing)), seed=st.integers(0, 99))
def test_the_first_is_the_better_one(scores: list[float], how: Pairing, seed: int) -> None:
    found = pair(scores, how, random.Random(seed))
    assert all(scores[better] > scores[worse] for better, worse in found)
    assert len(set(found)) == len(found)
    levels = len(set(scores))
    if how in ("best-worst", "best-random"):
        assert len(found) == (levels > 1)
        assert all(scores[better] == max(scores) for better, _ in found)
    elif how == "all":
        assert len(found) == sum(a > b for a in scores for b in scores)
    else:
        assert {scores[better] for better, _ in found} == set(sorted(set(scores))[1:])


def test_best_random_takes_every_lower_one_now_and_then() -> None:
    found = {pair([5, 1, 5, 3], "best-random", random.Random(seed))[0] for seed in range(100)}
    assert found == {(0, 1), (0, 3), (2, 1), (2, 3)}
