from __future__ import annotations

import json
import random
from typing import Any

import pytest

from itune_core.api import Kind, Record
from itune_formatters.preferences.shp import SHP


def row(score_a: Any = 9, score_b: Any = 4, later: Any = 60, label: Any = 1, **more: Any) -> dict[str, Any]:
    """Two comments, A with these votes and so many seconds later than B."""
    return {
        "post_id": "p1",
        "domain": "askculinary_train",
        "upvote_ratio": 0.98,
        "history": "How long does rice keep?",
        "c_root_id_A": "a1",
        "c_root_id_B": "b1",
        "created_at_utc_A": 1600000000 + later,
        "created_at_utc_B": 1600000000,
        "score_A": score_a,
        "score_B": score_b,
        "human_ref_A": "Two days.",
        "human_ref_B": "A year.",
        "labels": label,
        "seconds_difference": float(abs(later)),
        "score_ratio": 2.25,
        **more,
    }


def said(outcomes: list[Any]) -> list[str]:
    return [getattr(item, "reason", getattr(item, "code", "record")) for item in outcomes]


def test_a_pair(run: Any) -> None:
    [made] = run(SHP, [row()])
    assert made.kind is Kind.PREFERENCE
    assert [made[part][0]["content"] for part in ("prompt", "chosen", "rejected")] == [
        "How long does rice keep?",
        "Two days.",
        "A year.",
    ]
    assert (made["category"], made["margin"]) == ("askculinary_train", None)
    meta = json.loads(made["meta"])
    assert (meta["score_A"], meta["score_B"], meta["labels"], meta["c_root_id_A"]) == (9, 4, 1, "a1")
    assert not {"history", "human_ref_A", "human_ref_B"} & meta.keys()
    [made] = run(SHP, [row(4, 9, -60, 0)])
    assert made["chosen"][0]["content"] == "A year."


@pytest.mark.parametrize(
    ("votes", "later", "label", "result"),
    [
        ((9, 4), 60, 1, "record"),
        ((9, 4), 0, 1, "record"),  # written in the same second
        ((9, 4), -1, 1, "not-later"),
        ((4, 9), 60, 1, "not-higher"),
        ((4, 4), 60, 1, "not-higher"),
        ((4, 9), -60, 0, "record"),
        ((4, 9), 0, 0, "record"),
        ((4, 9), 1, 0, "not-later"),
        ((9, 4), -60, 0, "not-higher"),
    ],
)
def test_more_votes_although_later(run: Any, votes: tuple[int, int], later: int, label: int, result: str) -> None:
    assert said(run(SHP, [row(*votes, later, label)])) == [result]


@pytest.mark.parametrize(
    ("votes", "least", "result"),
    [((9, 4), 2, "record"), ((8, 4), 2, "record"), ((7, 4), 2, "ratio-too-small"), ((5, 4), 1, "record"),
     ((3, 0), 50, "record"), ((3, -4), 50, "record")],
)  # fmt: skip
def test_the_least_ratio(run: Any, votes: tuple[int, int], least: float, result: str) -> None:
    assert said(run(SHP, [row(*votes)], min_ratio=least)) == [result]


@pytest.mark.parametrize(
    ("fields", "result"),
    [
        ({"history": " "}, "empty-prompt"),
        ({"human_ref_B": ""}, "empty-output"),
        ({"human_ref_B": "Two days. "}, "equal-responses"),
        ({"labels": None}, "E-FORMAT-047"),
        ({"labels": 2}, "E-FORMAT-047"),
        ({"labels": True}, "E-FORMAT-047"),
        ({"score_A": "9"}, "E-FORMAT-047"),
        ({"score_A": 10**400}, "E-FORMAT-047"),
        ({"created_at_utc_B": None}, "E-FORMAT-047"),
        ({"history": None}, "E-DATA-002"),
        ({"human_ref_A": 3}, "E-DATA-003"),
        ({"post_id": None}, "record"),
    ],
)
def test_drops_and_failures(run: Any, fields: Any, result: str) -> None:
    assert said(run(SHP, [row(**fields)])) == [result]


def test_pairs_per_post(run: Any) -> None:
    rows = [row(9 + number, post_id=f"p{number % 3}") for number in range(30)]
    rows += [row(1, post_id="p1"), row(post_id=None), row(score_b=None, post_id="p2"), row(post_id="p3")]
    outcomes = run(SHP, rows, pairs_per_post=4)
    assert said(outcomes)[30:] == ["not-higher", "E-DATA-002", "E-FORMAT-047", "record"]
    for post in range(3):
        reasons = said(outcomes[post:30:3])
        assert (reasons.count("record"), reasons.count("enough-pairs")) == (4, 6)
    taken = [item["meta"] for item in outcomes if isinstance(item, Record)]
    assert taken != [item["meta"] for item in run(SHP, rows[:12] + rows[33:]) if isinstance(item, Record)]
    for seed in range(5):
        mixed = random.Random(seed).sample(rows, len(rows))
        again = [item["meta"] for item in run(SHP, mixed, pairs_per_post=4) if isinstance(item, Record)]
        assert sorted(again) == sorted(taken)
