"""Filters that keep the best of all rows: top, cherry, rule-select."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from itune_core.api import DataError, Drop, Failed, ItuneError, Keep, Rule, text
from itune_filters.cherry import Cherry
from itune_filters.rule_select import RuleSelect
from itune_filters.scores.selecting import quota
from itune_filters.top import Top


def rows(number: int, sources: Sequence[str | None] = ()) -> list[Any]:
    """Their ids sort as they stand."""
    return [text(f"row {row}", id=f"r{row:04}", source=sources[row] if sources else "one") for row in range(number)]


def kept(verdicts: Sequence[Any]) -> list[int]:
    return [row for row, verdict in enumerate(verdicts) if verdict == Keep()]


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ({"size": 2}, [1, 4]),
        ({"size": 2, "order": "lowest"}, [0, 3]),
        ({"size": 9}, [0, 1, 2, 3, 4]),
        ({"share": 0.4}, [1, 4]),
        ({"share": 0.41}, [1, 2, 4]),  # rounded up
        ({"share": 0.01}, [1]),
        ({"quantile": 0.5}, [1, 2, 4]),
        ({"quantile": 0.5, "order": "lowest"}, [0, 2, 3]),
        ({"quantile": 0.6}, [1, 4]),
    ],
)
def test_top(judge_with: Any, setting: dict[str, Any], expected: list[int]) -> None:
    scores = {"score.a": [0.1, 0.9, 0.5, 0.2, 0.8]}
    assert kept(judge_with(Top, rows(5), scores, score="score.a", **setting)) == expected


def test_top_says_score_rank_and_bound(judge_with: Any) -> None:
    scores = {"score.a.b": [3, 1, 2]}
    assert judge_with(Top, rows(3), scores, score="score.a.b", size=2)[1] == Drop(
        "not-top", "score.a.b is 1, rank 3 of 3, 2 are kept"
    )
    assert judge_with(Top, rows(3), scores, score="score.a.b", quantile=0.75)[1] == Drop(
        "not-top", "score.a.b is 1, below 2.5, the 0.75 quantile"
    )
    assert judge_with(Top, rows(3), scores, score="score.a.b", quantile=0.25, order="lowest")[0] == Drop(
        "not-top", "score.a.b is 3, above 1.5, the 0.25 quantile"
    )


def test_top_of_each_group(judge_with: Any) -> None:
    made = rows(6, ["x", "y", "x", "y", "x", None])
    scores = {"score.a": [1.0, 2.0, 3.0, 4.0, 5.0, 9.0]}
    verdicts = judge_with(Top, made, scores, score="score.a", size=1, per="source")
    assert kept(verdicts) == [3, 4]
    assert verdicts[0].detail == "score.a is 1, rank 3 of 3 of source 'x', 1 are kept"
    assert verdicts[5] == Failed("E-FILTER-015", "the record has no source to group by")
    assert kept(judge_with(Top, made, scores, score="score.a", quantile=0.5, per="source")) == [2, 3, 4]


def test_rows_without_a_score_fail_and_count_in_nothing(judge_with: Any) -> None:
    scores = {"score.a": [None, 1.0, 2.0, math.nan, 3.0, 4.0]}
    for setting in ({"share": 0.5}, {"quantile": 0.5}):
        verdicts = judge_with(Top, rows(6), scores, score="score.a", **setting)
        assert kept(verdicts) == [4, 5]
        assert [verdicts[0].code, verdicts[3].code] == ["E-FILTER-010"] * 2
    assert all(
        isinstance(one, Failed) for one in judge_with(Top, rows(2), {"score.a": ["x", "y"]}, score="score.a", size=1)
    )
    with pytest.raises(DataError, match="E-FILTER-014"):
        judge_with(Top, rows(2), score="score.a", size=1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=12), st.integers(1, 6), st.permutations(range(12)))
def test_ties_go_by_id_whatever_the_order(judge_with: Any, scores: list[int], size: int, order: list[int]) -> None:
    made = rows(len(scores))
    order = [row for row in order if row < len(made)]
    first = judge_with(Top, made, {"score.a": scores}, score="score.a", size=size)
    again = judge_with(
        Top, [made[row] for row in order], {"score.a": [scores[row] for row in order]}, score="score.a", size=size
    )
    assert [first[row] for row in order] == again
    expected = sorted(range(len(made)), key=lambda row: (-scores[row], made[row]["id"]))[:size]
    assert kept(first) == sorted(expected)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(st.floats(-10, 10), min_size=1, max_size=20), st.floats(0.01, 0.99))
def test_the_quantile_is_numpys(judge_with: Any, scores: list[float], share: float) -> None:
    verdicts = judge_with(Top, rows(len(scores)), {"score.a": scores}, score="score.a", quantile=share)
    assert kept(verdicts) == np.flatnonzero(np.array(scores) >= np.quantile(scores, share)).tolist()


@given(st.integers(1, 999), st.integers(0, 100_000))
def test_shares_are_exact(thousandths: int, total: int) -> None:
    assert quota(None, thousandths / 1000, total) == math.ceil(Fraction(thousandths, 1000) * total)


@pytest.mark.parametrize(
    "setting",
    [
        {"score": "score.a"},
        {"score": "score.a", "size": 1, "share": 0.5},
        {"score": "score.a", "share": 0.5, "quantile": 0.5},
        {"score": "a", "size": 1},
        {"score": "score.a", "size": 0},
        {"score": "score.a", "share": 1.5},
        {"score": "score.a", "size": 1, "per": "id"},
    ],
)
def test_top_refuses_what_makes_no_sense(setting: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Top.Config(**setting)


def test_cherry_takes_the_highest_of_those_at_most_one(judge_with: Any) -> None:
    ratios = {"score.ifd": [0.2, 1.0, 1.0000001, 0.9, None, 0.5, 3.0]}
    verdicts = judge_with(Cherry, rows(7), ratios, ifd="score.ifd", share=0.5)
    assert verdicts == [
        Drop("not-cherry", "score.ifd is 0.2, rank 4 of 4, 2 are kept"),
        Keep(),
        Drop("ifd-too-high", "score.ifd is 1.0000001, not <= 1.0"),
        Keep(),
        Failed("E-FILTER-010", "the record has no score.ifd: it is null"),
        Drop("not-cherry", "score.ifd is 0.5, rank 3 of 4, 2 are kept"),
        Drop("ifd-too-high", "score.ifd is 3, not <= 1"),
    ]
    assert kept(judge_with(Cherry, rows(7), ratios, ifd="score.ifd", share=None, size=1)) == [1]
    assert kept(judge_with(Cherry, rows(7), ratios, ifd="score.ifd", at_most=0.6, share=1.0)) == [0, 5]
    assert kept(judge_with(Cherry, rows(7), ratios, ifd="score.ifd")) == [1]  # a tenth of 4, rounded up
    assert Cherry(Cherry.Config(ifd="score.ifd")).reads() == ("score.ifd",)
    with pytest.raises(ValidationError, match="set one of share and size"):
        Cherry.Config(ifd="score.ifd", size=3)


RULE = Rule("log loss", 1.0, {"reward": -0.5, "length": 0.01}, {"reward": "score.rm", "length": "score.len"})


def test_rule_select_takes_the_lowest_predictions(judge_with: Any) -> None:
    columns = {"score.rm": [1.0, 0.0, 2.0, None], "score.len": [100, 0, 10, 3], "score.unused": [None] * 4}
    named = {"reward": "score.rm", "length": "score.len", "diversity": "score.unused"}
    component = RuleSelect(RuleSelect.Config(rule="fit", columns=named, size=1))
    assert component.reads() == ("score.rm", "score.len", "score.unused")

    def run(**setting: Any) -> list[Any]:
        return judge_with(RuleSelect, rows(4), columns, rules={"fit": RULE}, rule="fit", columns=named, **setting)

    # 1 - 0.5 + 1 = 1.5; 1; 1 - 1 + 0.1 = 0.1
    assert run(size=1) == [
        Drop("not-selected", "predicted log loss is 1.5, rank 3 of 3, 1 are kept"),
        Drop("not-selected", "predicted log loss is 1, rank 2 of 3, 1 are kept"),
        Keep(),
        Failed("E-FILTER-010", "the record has no score.rm: it is null"),
    ]
    assert kept(run(share=0.5)) == [1, 2]
    assert kept(run(size=1, reverse=True)) == [0]


def test_rule_select_needs_a_column_for_each_indicator(judge_with: Any) -> None:
    setting = {"rule": "fit", "size": 1, "columns": {"reward": "score.rm"}}
    with pytest.raises(DataError, match="no column here: length") as caught:
        judge_with(RuleSelect, rows(1), {"score.rm": [1.0]}, rules={"fit": RULE}, **setting)
    assert caught.value.code == "E-FILTER-016"
    with pytest.raises(ItuneError, match="E-RUN-021"):
        judge_with(RuleSelect, rows(1), {"score.rm": [1.0]}, **setting)


def test_a_prediction_that_is_no_number_fails_its_record(judge_with: Any) -> None:
    named = {"reward": "score.rm", "length": "score.len"}
    rule = Rule("log loss", 0.0, {"reward": 1e10, "length": -1e10})
    scores = {"score.rm": [1.0, 1e300, 1e308, 0.0], "score.len": [1.0, 1e300, -1e308, 5.0]}
    found = judge_with(RuleSelect, rows(4), scores, rules={"fit": rule}, rule="fit", columns=named, size=1)
    assert [getattr(one, "code", None) for one in found] == [None, "E-FILTER-012", "E-FILTER-012", None]
    assert found[3] == Keep()


def test_a_rule_without_indicators_chooses_by_id(judge_with: Any) -> None:
    setting = {"rules": {"fit": Rule("log loss", 1.0, {})}, "rule": "fit", "size": 2, "columns": {"reward": "score.rm"}}
    found = judge_with(RuleSelect, rows(4), {"score.rm": [4.0, 3.0, 2.0, 1.0]}, **setting)
    assert found == judge_with(RuleSelect, rows(4), {"score.rm": [4.0, 3.0, 2.0, 1.0]}, **setting, reverse=True)
    assert found.count(Keep()) == 2
