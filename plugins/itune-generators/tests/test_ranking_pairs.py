from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import Created, Drop, Failed, Kind, Rejected, features, message, ranking
from itune_core.testing import BenchContext
from itune_generators.choosing.pairing import Pairing
from itune_generators.pairs import Pairs

ASKED = [message("user", "Name a {{ prime }}.")]


def of(*rated: tuple[str, float | None], models: Sequence[str | None] | None = None) -> Any:
    names = models or [None] * len(rated)
    candidates = [
        {"completion": [message("assistant", text)], "score": score, "model": model}
        for (text, score), model in zip(rated, names, strict=True)
    ]
    return ranking(ASKED, candidates, task="numbers", language="en")


def made_of(records: Sequence[Any], folder: Path, **settings: Any) -> dict[str, list[Any]]:
    rows = datasets.Dataset.from_list(
        [{**record, "id": f"r{number}"} for number, record in enumerate(records)], features=features(Kind.RANKING)
    )
    component = Pairs(Pairs.Config(**settings))
    made: dict[str, list[Any]] = {}
    for key, item in component.itune_generate(inputs={"records": rows}, context=BenchContext(folder)):
        made.setdefault(key, []).append(item)
    return made


def compared(items: Sequence[Any]) -> list[tuple[str, str]]:
    return [
        (item.record["chosen"][-1]["content"], item.record["rejected"][-1]["content"])
        for item in items
        if isinstance(item, Created)
    ]


def test_a_pair_says_by_how_much_and_between_whom(tmp_path: Path) -> None:
    record = of(("Eight.", 1.5), ("Seven.", 4.0), models=["hasty", "careful"])
    [item] = made_of([record], tmp_path, by="best-worst")["r0"]
    assert item.parents == ["r0"]
    assert item.record.kind is Kind.PREFERENCE
    assert compared([item]) == [("Seven.", "Eight.")]
    assert [turn["content"] for turn in item.record["prompt"]] == ["Name a {{ prime }}."]
    assert (item.record["margin"], item.record["probability"]) == (2.5, None)
    assert (item.record["task"], item.record["language"]) == ("numbers", "en")
    assert json.loads(item.record["meta"]) == {"pair": {"scores": [4.0, 1.5], "models": ["careful", "hasty"]}}


def test_who_wrote_a_pair_is_known_also_where_one_model_wrote_both(tmp_path: Path) -> None:
    record = of(("Eight.", 1.5), ("Nine.", 3.0), ("Seven.", 4.0), models=["sft", "base", "sft"])
    [item] = made_of([record], tmp_path, by="best-worst")["r0"]
    assert json.loads(item.record["meta"]) == {"pair": {"scores": [4.0, 1.5], "models": ["sft", "sft"]}}
    [item] = made_of([of(("Eight.", 1.5), ("Seven.", 4.0))], tmp_path)["r0"]
    assert json.loads(item.record["meta"]) == {"pair": {"scores": [4.0, 1.5]}}


def test_a_soft_label_is_the_probability_of_bradley_and_terry(tmp_path: Path) -> None:
    record = of(("Eight.", 1.5), ("Seven.", 4.0))
    [item] = made_of([record], tmp_path, by="best-worst", labels="soft")["r0"]
    assert item.record["probability"] == pytest.approx(1 / (1 + math.exp(-2.5)))


FOUR = of(("a", 4.0), ("b", 3.0), ("c", 3.0), ("d", 1.0))
BY: dict[Pairing, list[tuple[str, str]]] = {
    "best-worst": [("a", "d")],
    "adjacent": [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")],
    "margin": [("a", "b"), ("a", "c"), ("a", "d"), ("b", "d"), ("c", "d")],
}


@pytest.mark.parametrize("by", list(BY))
def test_every_way_that_draws_nothing(by: Pairing, tmp_path: Path) -> None:
    assert compared(made_of([FOUR], tmp_path, by=by)["r0"]) == BY[by]


def test_margins(tmp_path: Path) -> None:
    assert compared(made_of([FOUR], tmp_path, by="margin", min_margin=2)["r0"]) == [("a", "d"), ("b", "d"), ("c", "d")]
    for by in ("best-worst", "best-random", "adjacent", "margin", "random", "first-round"):
        [outcome] = made_of([FOUR], tmp_path, by=by, min_margin=3.5)["r0"]
        assert isinstance(outcome, Drop)
        assert outcome.reason == "below-margin" or (by, outcome.reason) == ("first-round", "equal-scores")


def test_random_pairs_are_as_many_as_asked_or_as_there_are(tmp_path: Path) -> None:
    assert len(made_of([FOUR], tmp_path, by="random")["r0"]) == 1
    assert len(set(compared(made_of([FOUR], tmp_path, by="random", count=3)["r0"]))) == 3
    assert set(compared(made_of([FOUR], tmp_path, by="random", count=9)["r0"])) == set(BY["margin"])


def test_a_knockout_rejects_what_is_no_preference(tmp_path: Path) -> None:
    record = of(("a", 1.0), ("b", 1.0), ("a", 1.0), ("c", 2.0))
    items = made_of([record], tmp_path, by="tournament")["r0"]
    assert len(items) == 3
    made = [item for item in items if isinstance(item, Created)]
    rejected = [item for item in items if isinstance(item, Rejected)]
    assert len(made) + len(rejected) == 3
    assert {item.reason for item in rejected} <= {"equal-scores", "equal-responses"}
    assert all(chosen == "c" for chosen, _ in compared(items))


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (of(("a", 1.0)), "too-few-candidates"),
        (of(), "too-few-candidates"),
        (of(("a", 1.0), ("b", 1.0)), "equal-scores"),
        (of(("a", 1.0), ("a", 2.0)), "equal-responses"),
    ],
)
@pytest.mark.parametrize("by", get_args(Pairing))
def test_a_ranking_without_a_preference_says_why(record: Any, reason: str, by: Pairing, tmp_path: Path) -> None:
    [outcome] = made_of([record], tmp_path, by=by)["r0"]
    assert isinstance(outcome, Drop)
    assert outcome.reason == reason


@pytest.mark.parametrize("by", get_args(Pairing))
def test_a_missing_score_fails_its_ranking_alone(by: Pairing, tmp_path: Path) -> None:
    made = made_of([of(("a", 1.0), ("b", None), ("c", 2.0)), FOUR], tmp_path, by=by)
    [failed] = made["r0"]
    assert isinstance(failed, Failed)
    assert (failed.code, "candidate 1" in failed.message) == ("E-GEN-010", True)
    assert compared(made["r1"])


RATED = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(-3, 3).map(float)), min_size=2, max_size=9)


@given(RATED, st.sampled_from(get_args(Pairing)), st.sampled_from([0.0, 2.0]))
def test_every_preference_is_one(
    tmp_path_factory: pytest.TempPathFactory, rated: list[tuple[str, float]], by: Pairing, margin: float
) -> None:
    items = made_of([of(*rated)], tmp_path_factory.getbasetemp(), by=by, min_margin=margin)["r0"]
    created = [item.record for item in items if isinstance(item, Created)]
    for record in created:
        (chosen,), (rejected,) = record["chosen"], record["rejected"]
        better, worse = json.loads(record["meta"])["pair"]["scores"]
        assert (chosen["content"], better) in rated
        assert (rejected["content"], worse) in rated
        assert chosen["content"] != rejected["content"]
        assert record["margin"] == better - worse >= max(margin, 1)
    assert bool(created) != any(isinstance(item, Drop) for item in items)
    if by == "tournament" and created:
        assert len(items) == len(rated) - 1
    if by == "first-round" and created:
        assert len(items) == len(rated) // 2
