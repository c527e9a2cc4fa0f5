"""Which scored answers are compared: every way, on chosen scores and on any."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_generators.choosing.pairing import Pairing, paired

SCORES = [3.0, 5.0, 1.0, 5.0, 2.0, 1.0]
EXACT: dict[Pairing, set[tuple[int, int]]] = {
    "adjacent": {(1, 0), (3, 0), (0, 4), (4, 2), (4, 5)},
    "margin": {(1, 0), (3, 0), (1, 4), (3, 4), (1, 2), (1, 5), (3, 2), (3, 5), (0, 4), (0, 2), (0, 5), (4, 2), (4, 5)},
}
WAYS: list[Pairing] = ["adjacent", "best-random", "best-worst", "first-round", "margin", "random", "tournament"]
KNOCKOUTS: list[Pairing] = ["first-round", "tournament"]

scores = st.lists(st.integers(0, 5).map(float) | st.floats(-1e300, 1e300), min_size=2, max_size=12)
unlike = st.lists(st.integers(-1000, 1000).map(float), min_size=2, max_size=33, unique=True)
rngs = st.randoms(use_true_random=False)


@pytest.mark.parametrize("by", list(EXACT))
def test_ways_that_draw_nothing(by: Pairing) -> None:
    found = paired(SCORES, by, random.Random(0))
    assert len(found) == len(EXACT[by])
    assert set(found) == EXACT[by]


def test_best_worst_and_best_random_draw_among_equals() -> None:
    worst = Counter(pair for seed in range(200) for pair in paired(SCORES, "best-worst", random.Random(seed)))
    assert set(worst) == {(1, 2), (1, 5), (3, 2), (3, 5)}
    any_lower = Counter(pair for seed in range(400) for pair in paired(SCORES, "best-random", random.Random(seed)))
    assert set(any_lower) == {(best, lower) for best in (1, 3) for lower in (0, 2, 4, 5)}
    assert max(any_lower.values()) < 2.5 * min(any_lower.values())


def test_random_draws_pairs_without_putting_them_back() -> None:
    found = paired(SCORES, "random", random.Random(1), count=5)
    assert len(set(found)) == 5
    assert set(found) <= EXACT["margin"]
    assert set(paired(SCORES, "random", random.Random(1), count=99)) == EXACT["margin"]


def test_a_margin_leaves_only_what_differs_by_it() -> None:
    rng = random.Random(0)
    assert set(paired(SCORES, "margin", rng, min_margin=3)) == {(1, 4), (3, 4), (1, 2), (1, 5), (3, 2), (3, 5)}
    assert set(paired(SCORES, "adjacent", rng, min_margin=2)) == {(1, 0), (3, 0)}
    lower = {
        pair[1] for seed in range(100) for pair in paired(SCORES, "best-random", random.Random(seed), min_margin=3)
    }
    assert lower == {2, 4, 5}
    for by in ("best-worst", "best-random", "random", "margin", "adjacent"):
        assert paired(SCORES, by, rng, min_margin=4.5) == []


@given(scores, st.sampled_from([way for way in WAYS if way not in KNOCKOUTS]), rngs, st.sampled_from([0.0, 1.0, 2.5]))
def test_the_chosen_one_is_better(found: list[float], by: Pairing, rng: random.Random, margin: float) -> None:
    pairs = paired(found, by, rng, min_margin=margin, count=3)
    assert all(found[better] > found[worse] and found[better] - found[worse] >= margin for better, worse in pairs)
    assert len(set(pairs)) == len(pairs)
    apart = max(found) - min(found)
    assert bool(pairs) == (apart > 0 and apart >= margin) or by == "adjacent"


@given(scores, st.sampled_from(KNOCKOUTS), rngs)
def test_in_a_knockout_nobody_meets_himself_and_the_winner_is_no_worse(
    found: list[float], by: Pairing, rng: random.Random
) -> None:
    pairs = paired(found, by, rng)
    assert all(found[better] >= found[worse] and better != worse for better, worse in pairs)
    assert len(pairs) == (len(found) // 2 if by == "first-round" else len(found) - 1)


@given(unlike, rngs)
def test_a_first_round_is_of_pairs_that_share_nobody(found: list[float], rng: random.Random) -> None:
    pairs = paired(found, "first-round", rng)
    players = [player for pair in pairs for player in pair]
    assert len(set(players)) == len(players) == len(found) // 2 * 2


@given(unlike, rngs)
def test_all_but_the_best_lose_a_tournament_once(found: list[float], rng: random.Random) -> None:
    pairs = paired(found, "tournament", rng)
    assert sorted(worse for _, worse in pairs) == sorted(set(range(len(found))) - {found.index(max(found))})
    played = Counter(player for pair in pairs for player in pair)
    rounds = (len(found) - 1).bit_length()
    assert max(played.values()) <= rounds
    if len(found) == 2**rounds:
        assert played[found.index(max(found))] == rounds


def test_who_has_no_opponent_plays_in_the_next_round() -> None:
    """Of five, one sits out the first round and then must not sit out the second."""
    for seed in range(50):
        pairs = paired([1.0, 2.0, 3.0, 4.0, 5.0], "tournament", random.Random(seed))
        [absent] = set(range(5)) - {player for pair in pairs[:2] for player in pair}
        assert absent in pairs[2]


def test_who_meets_whom_is_drawn() -> None:
    pairs = Counter(
        frozenset(pair)
        for seed in range(300)
        for pair in paired([1.0, 2.0, 3.0, 4.0], "first-round", random.Random(seed))
    )
    assert len(pairs) == 6
    assert max(pairs.values()) < 2 * min(pairs.values())


@pytest.mark.parametrize("by", [way for way in WAYS if way not in KNOCKOUTS])
def test_equal_scores_are_no_pairs(by: Pairing) -> None:
    assert paired([2.0, 2.0, 2.0], by, random.Random(0), count=3) == []
