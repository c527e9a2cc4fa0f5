"""RRHF: lists of scored answers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import datasets
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import Kind, message, ranking
from itune_core.testing.context import BenchContext
from itune_trainers.losses import rrhf_loss
from itune_trainers.objectives.rrhf import RRHF

Bench = Callable[..., BenchContext]
SETTINGS = {"model": "tiny", "dtype": "float32", "device": "cpu", "learning_rate": 1e-3, "batch_size": 4}


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_by_hand() -> None:
    """Scores 3, 1, 2 and means -2, -1, -1.5: the model has each of the three pairs the wrong way round.

    (1 < 3): -1 + 2 = 1; (1 < 2): -1 + 1.5 = 0.5; (2 < 3): -1.5 + 2 = 0.5; the best has -2.
    """
    means, scores = column(-2.0, -1.0, -1.5), column(3.0, 1.0, 2.0)
    assert rrhf_loss(means, means, scores, weight=1.0).item() == pytest.approx(2.0 + 2.0)
    assert rrhf_loss(means, means, scores, weight=100.0).item() == pytest.approx(200.0 + 2.0)


def test_ties_are_no_order_and_the_first_best_is_learned() -> None:
    means = column(-2.0, -1.0, -3.0)
    assert rrhf_loss(means, means, column(1.0, 1.0, 1.0), weight=1.0).item() == pytest.approx(2.0)
    assert rrhf_loss(means, means, column(0.0, 1.0, 1.0), weight=1.0).item() == pytest.approx(1.0 + 1.0)


@given(st.lists(st.tuples(st.floats(-9, 0), st.integers(0, 4)), min_size=2, max_size=6), st.floats(0, 3))
def test_against_the_formula_pair_by_pair(answers: list[tuple[float, int]], weight: float) -> None:
    means, scores = (column(*part) for part in zip(*answers, strict=True))
    ranked = sum(max(0.0, s - other) for s, r in answers for other, better in answers if r < better)
    best = max(range(len(answers)), key=lambda number: answers[number][1])
    expected = weight * ranked - answers[best][0]
    assert rrhf_loss(means, means, scores, weight=weight).item() == pytest.approx(expected, abs=1e-9)


@pytest.fixture
def lists(dataset: Any) -> datasets.Dataset:
    """Lists of two to four answers, the longer the better."""
    words = ["One.", "One or two.", "One, two or three of them.", "One, two, three or four of them, I think."]
    return dataset(
        Kind.RANKING,
        (
            ranking(
                [message("user", f"How many are {number}?")],
                [
                    {"completion": [message("assistant", text)], "score": float(place)}
                    for place, text in enumerate(words[: 2 + number % 3])
                ],
            ).replace(id=f"r{number}")
            for number in range(9)
        ),
    )


def test_it_learns_the_order(lists: datasets.Dataset, bench: Bench) -> None:
    made = RRHF(RRHF.Config(**SETTINGS, epochs=6)).train({"train": lists, "eval": lists}, bench())
    assert made.metrics["eval/loss"] < made.metrics["eval/loss/before"]
    assert made.metrics["eval/ranking/accuracies"] > made.metrics["eval/ranking/accuracies/before"]
    assert made.metrics["eval/logps/best"] > made.metrics["eval/logps/best/before"]


@pytest.mark.parametrize("limit", [1, 60])
def test_how_lists_are_joined_changes_only_rounding(limit: int, lists: datasets.Dataset, bench: Bench) -> None:
    some = RRHF(RRHF.Config(**SETTINGS, tokens_per_forward=limit)).train({"train": lists}, bench("some"))
    other = RRHF(RRHF.Config(**SETTINGS, tokens_per_forward=4096)).train({"train": lists}, bench("other"))
    for entry, same in zip(some.history, other.history, strict=True):
        assert entry == pytest.approx(same, abs=2e-4)


def test_what_cannot_be_ranked_fails_alone(dataset: Any, lists: datasets.Dataset, bench: Bench) -> None:
    ask = [message("user", "And?")]
    told = {"completion": [message("assistant", "So.")], "score": 1.0}
    bad = dataset(
        Kind.RANKING,
        [
            ranking(ask, [told, {**told, "score": None}]).replace(id="unscored"),
            ranking(ask, [told]).replace(id="alone"),
        ],
    )
    rows = datasets.concatenate_datasets([lists, bad])
    made = RRHF(RRHF.Config(**SETTINGS)).train({"train": rows}, bench())
    assert {name: failed.code for name, failed in made.dropped.items()} == {
        "unscored": "E-TRAIN-004",
        "alone": "E-TRAIN-004",
    }
    assert made.metrics["records"] == 9
    assert math.isfinite(made.metrics["loss"])
