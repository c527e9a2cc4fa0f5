from __future__ import annotations

import math
from pathlib import Path

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import Failed, Kind, LogProbs, Reply, Request, TokenLogProbs, features, message, preference
from itune_core.testing import BenchContext
from itune_evaluators.preference import Preference

COSTS = {"m": 1.0, "start": 0.5}
"""Nats a letter, by model."""


def per_word(request: Request) -> Reply | Failed:
    """One token a word; a word of k letters costs k times the model's price."""
    assert isinstance(request, LogProbs)
    words = request.completion[-1]["content"].split()
    if words == ["unknown"]:
        return Failed("E-TEST-001", "no")
    return TokenLogProbs([-COSTS[request.model] * len(word) for word in words])


def evaluated(folder: Path, *pairs: tuple[str, str], **settings: object):
    made = [
        preference([message("user", "q")], [message("assistant", chosen)], [message("assistant", rejected)])
        for chosen, rejected in pairs
    ]
    rows = [{**record, "id": f"r{number}"} for number, record in enumerate(made)]
    component = Preference(Preference.Config(models=["m"], **settings))
    data = datasets.Dataset.from_list(rows, features=features(Kind.PREFERENCE))
    return component.itune_evaluate(inputs={"records": data}, context=BenchContext(folder, reply=per_word))


def test_margins_and_their_intervals(tmp_path: Path) -> None:
    result = evaluated(tmp_path, ("xx", "xxxx x"), ("xxx", "xx"), ("xx", "x x"), ("x", "xxxx"))
    figures = result.metrics["m"]
    # margins 5 - 2, 2 - 3, 2 - 2, 4 - 1; per token 2.5 - 2, 2 - 3, 1 - 2, 4 - 1
    assert [row["margin"] for row in result.table] == [3.0, -1.0, 0.0, 3.0]
    assert [row["token_margin"] for row in result.table] == [0.5, -1.0, -1.0, 3.0]
    assert figures["accuracy"] == 2.5 / 4
    assert figures["token_accuracy"] == 0.5
    assert figures["margin"] == 1.25
    assert figures["chosen"] == -2.0
    assert figures["rejected"] == -3.25
    # squares about 1.25 sum to 3.0625 + 5.0625 + 1.5625 + 3.0625 = 12.75; over 3 and 4: the error is sqrt(1.0625)
    assert figures["margin_high"] - figures["margin"] == pytest.approx(1.959964 * math.sqrt(1.0625), rel=1e-6)
    assert figures["accuracy_low"] < 2.5 / 4 < figures["accuracy_high"]


def test_a_reference_is_subtracted_from_each_side(tmp_path: Path) -> None:
    result = evaluated(tmp_path, ("xx", "xxxx x"), reference="start")
    (row,) = result.table
    assert row == {"id": "r0", "model": "m", "chosen": -1.0, "rejected": -2.5, "margin": 1.5, "token_margin": 0.5}
    assert "margin_low" not in result.metrics["m"]  # there is no interval of one pair


def test_what_cannot_be_scored_fails_and_is_not_averaged_in(tmp_path: Path) -> None:
    result = evaluated(tmp_path, ("x", "xx"), ("x", "unknown"))
    assert {key: failed.code for key, failed in result.failed.items()} == {"r1": "E-TEST-001"}
    assert result.metrics["m"]["pairs"] == 1


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_figures_do_not_depend_on_the_order_of_pairs(margins: list[float], random) -> None:
    rows = [{"margin": m, "token_margin": m / 3, "chosen": m - 1, "rejected": -1.0} for m in margins]
    component = Preference(Preference.Config(models=["m"]))
    before = component.summarise(rows)
    random.shuffle(rows)
    assert component.summarise(rows) == pytest.approx(before, rel=1e-9, abs=1e-9)
    assert 0 <= before["accuracy_low"] <= before["accuracy"] <= before["accuracy_high"] <= 1
