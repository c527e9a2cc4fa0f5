"""Averaging, flips and aggregation: the arithmetic of feedback."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from itune_generators.feedback.aggregation import mean_rating, shuffled, unshuffled
from itune_generators.feedback.flips import flipped
from itune_generators.feedback.forms import Critique, number, ratings_of
from itune_generators.feedback.orders import Look, averaged

SHARES = st.floats(0, 1)
LOOKS = st.lists(st.builds(Look, SHARES, SHARES), min_size=1, max_size=8)


def test_two_orders_are_averaged() -> None:
    """By hand: (0.9 + (1 - 0.6)) / 2, and (0.9 + 0.6) / 2 - 0.5."""
    assert averaged([Look(0.9, 0.6)]) == pytest.approx((0.65, 0.25))
    assert averaged([Look(0.9, 0.6), Look(0.3, 0.2)]) == pytest.approx((0.6, 0.0))


@given(LOOKS)
def test_a_verdict_is_a_probability(looks: list[Look]) -> None:
    first, bias = averaged(looks)
    assert 0 <= first <= 1
    assert -0.5 <= bias <= 0.5


@given(LOOKS)
def test_the_other_answer_has_the_rest_and_the_bias_stays(looks: list[Look]) -> None:
    """What is first in the pair is a matter of naming."""
    one = averaged(looks)
    other = averaged([Look(look.backward, look.forward) for look in looks])
    assert one.first + other.first == pytest.approx(1)
    assert one.position_bias == pytest.approx(other.position_bias)


@given(LOOKS, st.randoms(use_true_random=False))
def test_what_cancels_out_cancels_out_to_the_last_bit(looks: list[Look], rng: random.Random) -> None:
    """A preference that rounding makes would be no preference of anybody's."""
    forward = [look.forward for look in looks]
    backward = rng.sample(forward, len(forward))
    assert averaged([Look(*both) for both in zip(forward, backward, strict=True)]).first == 0.5


@given(LOOKS, st.floats(-0.5, 0.5))
def test_what_is_added_to_a_place_in_both_orders_cancels_out(looks: list[Look], bias: float) -> None:
    biased = [Look(look.forward + bias, look.backward + bias) for look in looks]
    assert averaged(biased).first == pytest.approx(averaged(looks).first)
    assert averaged(biased).position_bias == pytest.approx(averaged(looks).position_bias + bias)


@given(st.floats(-20, 20), st.floats(-8, 8).filter(lambda better: abs(better) > 1e-6))
def test_a_bias_in_log_odds_never_turns_a_verdict_over(bias: float, better: float) -> None:
    """As a softmax has it: a place adds to the logit. One order alone is wrong wherever the bias is the larger."""

    def named_first(logit: float) -> float:
        return 1 / (1 + math.exp(-logit))

    found = averaged([Look(named_first(bias + better), named_first(bias - better))]).first
    # Where the place saturates the probabilities in floats, nothing is left; it is never the wrong side.
    assert found == 0.5 or (found > 0.5) == (better > 0)


@given(LOOKS, st.randoms(use_true_random=False))
def test_the_order_of_principles_does_not_matter(looks: list[Look], rng: random.Random) -> None:
    again = rng.sample(looks, len(looks))
    assert averaged(again) == averaged(looks)


def test_labels_are_turned_over_at_the_rate() -> None:
    """20,000 labels: three standard deviations are 0.0092."""
    rng = random.Random(7)
    for rate in (0.0, 0.25, 0.5):
        turned = sum(flipped(rate, rng) for _ in range(20_000)) / 20_000
        assert turned == pytest.approx(rate, abs=0.0092 if rate else 0)


@given(st.integers(), st.floats(0, 0.5), st.floats(0, 0.5))
def test_a_higher_rate_turns_over_what_a_lower_one_does_and_leaves_the_rest_of_the_draws(
    seed: int, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    first, second = random.Random(seed), random.Random(seed)
    assert flipped(low, first) <= flipped(high, second)
    assert first.random() == second.random()


@pytest.mark.parametrize(
    ("ratings", "mean"),
    [([5, 4, 3, 4], 4.0), ([5, None, 3, 3], 11 / 3), ([None, None, 2, None], 2.0), ([1, 1, 1, 1], 1.0), ([None], None)],
)
def test_what_does_not_apply_is_left_out_of_the_mean(ratings: list[int | None], mean: float | None) -> None:
    """As UltraFeedback's `calculate_average_rating` has it: sum of the numbers by how many there are, None without."""
    assert mean_rating(ratings) == (None if mean is None else pytest.approx(mean))


@given(st.lists(st.text(), max_size=9), st.integers())
def test_what_was_shuffled_comes_back(answers: list[str], seed: int) -> None:
    order = shuffled(len(answers), random.Random(seed))
    assert unshuffled([answers[place] for place in order], order) == answers


def test_every_order_is_as_likely() -> None:
    """6,000 of six orders: five degrees of freedom, chi-square below 20.5 in 999 of 1,000."""
    rng = random.Random(3)
    seen = Counter(tuple(shuffled(3, rng)) for _ in range(6000))
    assert len(seen) == 6
    assert sum((count - 1000) ** 2 / 1000 for count in seen.values()) < 20.5


@pytest.mark.parametrize("rating", ["0", "6", "4.0", '"4"', "true", "null", '"n/a"'])
def test_a_rating_is_one_of_five_numbers(rating: str) -> None:
    for may_not_apply in (True, False):
        form = ratings_of(1, may_not_apply=may_not_apply)
        with pytest.raises(ValidationError):
            form.model_validate_json(f'{{"answers": [{{"reason": "", "rating": {rating}}}]}}', strict=True)


def test_only_where_it_may_an_aspect_does_not_apply() -> None:
    written = '{"answers": [{"reason": "", "rating": "N/A"}]}'
    [rated] = ratings_of(1, may_not_apply=True).model_validate_json(written, strict=True).answers
    assert number(rated) is None
    with pytest.raises(ValidationError):
        ratings_of(1, may_not_apply=False).model_validate_json(written, strict=True)


def test_there_is_an_entry_for_each_answer() -> None:
    written = '{"answers": [{"reason": "", "rating": 1}, {"reason": "", "rating": 2}]}'
    assert [number(one) for one in ratings_of(2, may_not_apply=False).model_validate_json(written).answers] == [1, 2]
    for count in (1, 3):
        with pytest.raises(ValidationError):
            ratings_of(count, may_not_apply=False).model_validate_json(written, strict=True)


def test_a_score_of_one_stays_one() -> None:
    """In UltraFeedback 2,628 answers with 1 had become 10: scores of at most 1 were taken for fractions of ten."""
    assert Critique.model_validate_json('{"critique": "Wrong.", "overall": 1}', strict=True).overall == 1
