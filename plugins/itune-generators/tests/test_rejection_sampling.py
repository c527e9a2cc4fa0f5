from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest
from pydantic import ValidationError

from itune_core.api import (
    AnswerRewards,
    Created,
    Drop,
    Failed,
    Kind,
    Rejected,
    Reply,
    Request,
    Rewards,
    features,
    message,
    ranking,
)
from itune_core.testing import BenchContext
from itune_generators.rejection_sampling import RejectionSampling

ASKED = [message("user", "Name a {{ prime }}.")]


def judge(request: Request) -> Reply:
    """A reward model that reads the reward off the answer's first word."""
    assert isinstance(request, Rewards)
    assert [turn["content"] for turn in request.prompt] == ["Name a {{ prime }}."]
    return AnswerRewards([float(answer[-1]["content"].split()[0]) for answer in request.completions])


def of(*texts: str, scores: Sequence[float | None] | None = None) -> Any:
    values = scores or [None] * len(texts)
    candidates = [
        {"completion": [message("assistant", text)], "score": score} for text, score in zip(texts, values, strict=True)
    ]
    return ranking(ASKED, candidates, task="numbers", references=["2"])


def sampled(
    records: Sequence[Any], folder: Path, *, seed: int = 0, **settings: Any
) -> tuple[dict[str, list[Any]], BenchContext]:
    rows = datasets.Dataset.from_list(
        [{**record, "id": f"r{number}"} for number, record in enumerate(records)], features=features(Kind.RANKING)
    )
    bench = BenchContext(folder, reply=judge, seed=seed)
    component = RejectionSampling(RejectionSampling.Config(**settings))
    made: dict[str, list[Any]] = {}
    for key, item in component.itune_generate(inputs={"records": rows}, context=bench):
        made.setdefault(key, []).append(item)
    return made, bench


def compared(items: Sequence[Any]) -> list[tuple[str, str]]:
    return [
        (item.record["chosen"][-1]["content"], item.record["rejected"][-1]["content"])
        for item in items
        if isinstance(item, Created)
    ]


SIXTY_FOUR = [f"{k / 8} way number {k}" for k in range(64)]


def test_of_64_candidates_8_are_accepted_and_make_4_pairs(tmp_path: Path) -> None:
    made, bench = sampled([of(*SIXTY_FOUR)], tmp_path, reward="judge")
    items = made["r0"]
    assert len(items) == 4
    assert all(isinstance(item, Created) and item.parents == ["r0"] for item in items)
    texts = [text for pair in compared(items) for text in pair]
    assert len(set(texts)) == 8
    assert set(texts) <= set(SIXTY_FOUR)
    for item, (chosen, rejected) in zip(items, compared(items), strict=True):
        record = item.record
        better, worse = (float(text.split()[0]) for text in (chosen, rejected))
        assert better > worse
        assert (record["margin"], record["probability"]) == (better - worse, None)
        assert (record["task"], record["references"]) == ("numbers", ["2"])
        told = json.loads(record["meta"])
        assert told["pair"] == {"scores": [better, worse]}
        about = told["rejection_sampling"]
        assert (about["candidates"], about["accepted"]) == (64, 8)
        assert about["mean_reward"] == pytest.approx(63 / 16)
        assert about["accepted_reward"] == pytest.approx(sum(float(text.split()[0]) for text in texts) / 8)
        rate = sum(math.exp((k / 8 - 63 / 8) / 0.5) for k in range(64)) / 64
        assert about["acceptance_rate"] == pytest.approx(rate)
    figures = {name: about[name] for name in ("acceptance_rate", "mean_reward", "accepted_reward")}
    assert bench.reported[-1] == (1, 1, figures)


def test_a_tournament_makes_one_pair_less_than_it_has_answers(tmp_path: Path) -> None:
    made, _ = sampled([of(*SIXTY_FOUR)], tmp_path, reward="judge", pairs="tournament")
    pairs = compared(made["r0"])
    assert len(pairs) == 7
    losers = {rejected for _, rejected in pairs}
    [champion] = {chosen for chosen, _ in pairs} - losers
    assert len(losers) == 7
    assert all(float(champion.split()[0]) > float(loser.split()[0]) for loser in losers)


def test_soft_labels_are_the_probabilities_of_bradley_and_terry(tmp_path: Path) -> None:
    made, _ = sampled([of("1.0 a", "0.25 b")], tmp_path, reward="judge", labels="soft")
    [item] = made["r0"]
    assert item.record["probability"] == pytest.approx(1 / (1 + math.exp(-0.75)))
    assert item.record["margin"] == 0.75


def test_fewer_candidates_than_are_to_be_accepted_are_all_accepted(tmp_path: Path) -> None:
    records = [of("1 a", "2 b", "3 c"), of("1 a"), of()]
    made, _ = sampled(records, tmp_path, reward="judge", pairs="tournament")
    assert len(compared(made["r0"])) == 2
    assert json.loads(made["r0"][0].record["meta"])["rejection_sampling"]["accepted"] == 3
    for key in ("r1", "r2"):
        [outcome] = made[key]
        assert isinstance(outcome, Drop)
        assert outcome.reason == "too-few-candidates"


def test_answers_that_say_the_same_are_candidates_of_their_own(tmp_path: Path) -> None:
    """Seven of eight drawn answers are one text: all eight are accepted, and the eighth has an opponent."""
    made, _ = sampled([of(*["1 again"] * 7, "2 once")], tmp_path, reward="judge", accept=8)
    items = made["r0"]
    assert compared(items) == [("2 once", "1 again")]
    rejected = [item for item in items if isinstance(item, Rejected)]
    assert [item.reason for item in rejected] == ["equal-responses"] * 3
    about = json.loads(next(item for item in items if isinstance(item, Created)).record["meta"])["rejection_sampling"]
    assert (about["candidates"], about["accepted"]) == (8, 8)


def test_equal_rewards_are_no_preference(tmp_path: Path) -> None:
    records = [of("1 a", "1 b"), of("1 a", "1 a")]
    made, _ = sampled(records, tmp_path, reward="judge")
    assert [made[key][0].reason for key in ("r0", "r1")] == ["equal-scores", "equal-responses"]
    assert all(isinstance(item, Drop) for items in made.values() for item in items)


def test_without_a_judge_the_scores_count_and_a_missing_one_fails(tmp_path: Path) -> None:
    records = [of("9 a", "1 b", scores=[1.0, 2.0]), of("9 a", "1 b", scores=[1.0, None])]
    made, _ = sampled(records, tmp_path)
    assert compared(made["r0"]) == [("1 b", "9 a")]
    [failed] = made["r1"]
    assert isinstance(failed, Failed)
    assert failed.code == "E-GEN-010"


def test_the_same_seed_gives_the_same_and_another_seed_another(tmp_path: Path) -> None:
    drawn = [compared(sampled([of(*SIXTY_FOUR)], tmp_path, reward="judge", seed=seed)[0]["r0"]) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_beta_is_above_zero() -> None:
    with pytest.raises(ValidationError, match="greater than 0"):
        RejectionSampling.Config(reward="judge", beta=0)


@pytest.mark.parametrize("beta", [5e-324, 1e-300, 1e300])
def test_any_beta_above_zero_is_one(tmp_path: Path, beta: float) -> None:
    made, _ = sampled([of(*SIXTY_FOUR)], tmp_path, reward="judge", beta=beta)
    texts = {text for pair in compared(made["r0"]) for text in pair}
    assert len(texts) == 8
    assert (texts == set(SIXTY_FOUR[-8:])) == (beta < 1)
