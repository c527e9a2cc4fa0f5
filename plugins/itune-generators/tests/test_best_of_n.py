from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from itune_core.api import (
    AnswerRewards,
    Created,
    Drop,
    Failed,
    Kind,
    Reply,
    Request,
    Rewards,
    features,
    message,
    ranking,
)
from itune_core.testing import BenchContext
from itune_generators.best_of_n import BestOfN, kl_bound

ASKED = [message("system", "Be brief."), message("user", "Name a {{ prime }}.")]
TEXTS = ["Seven.", "It is eleven, I think.", "Two.", "Three or five."]


def ranked(*texts: str, scores: Sequence[float | None] = (), **common: Any) -> Any:
    values = [*scores, *[None] * (len(texts) - len(scores))]
    candidates = [
        {"completion": [message("assistant", text)], "score": score, "model": "sft"}
        for text, score in zip(texts, values, strict=True)
    ]
    return ranking(ASKED, candidates, **common)


def judge(request: Request) -> Reply:
    """A reward model for which longer is better."""
    assert isinstance(request, Rewards)
    assert [turn["content"] for turn in request.prompt] == ["Be brief.", "Name a {{ prime }}."]
    return AnswerRewards([float(len(answer[-1]["content"])) for answer in request.completions])


def chosen(
    records: Sequence[Any], folder: Path, reply: Callable[[Request], Reply | Failed] | None = judge, **settings: Any
) -> tuple[list[tuple[str, Any]], BenchContext]:
    rows = datasets.Dataset.from_list(
        [{**record, "id": f"r{number}"} for number, record in enumerate(records)], features=features(Kind.RANKING)
    )
    bench = BenchContext(folder, reply=reply)
    return list(BestOfN(BestOfN.Config(**settings)).itune_generate(inputs={"records": rows}, context=bench)), bench


def test_the_best_becomes_a_conversation_that_says_how_it_was_chosen(tmp_path: Path) -> None:
    [(key, item)], bench = chosen([ranked(*TEXTS, task="numbers", references=["2"])], tmp_path, reward="judge")
    assert isinstance(item, Created)
    assert (key, item.parents, item.record.kind) == ("r0", ["r0"], Kind.CONVERSATION)
    said = [turn["content"] for turn in item.record["messages"]]
    assert said == ["Be brief.", "Name a {{ prime }}.", "It is eleven, I think."]
    assert (item.record["task"], item.record["references"]) == ("numbers", ["2"])
    meta = json.loads(item.record["meta"])
    assert meta["model"] == "sft", "who wrote it: in a ranking of several models nothing else would say so"
    told = meta["best_of_n"]
    assert told == {"n": 4, "reward": 22.0, "mean_reward": 11.5, "kl_bound": pytest.approx(math.log(4) - 0.75)}
    assert bench.reported[-1] == (1, 1, {name: told[name] for name in ("kl_bound", "reward", "mean_reward")})


def test_all_become_a_ranking_best_first_with_the_rewards_for_scores(tmp_path: Path) -> None:
    [(_, item)], _ = chosen([ranked(*TEXTS, scores=[9, 9, 9, 9])], tmp_path, reward="judge", keep="all")
    assert item.record.kind is Kind.RANKING
    found = [(one["completion"][0]["content"], one["score"], one["model"]) for one in item.record["candidates"]]
    assert found == [(text, float(len(text)), "sft") for text in sorted(TEXTS, key=len, reverse=True)]
    assert json.loads(item.record["meta"])["best_of_n"]["n"] == 4


def test_the_kind_that_it_gives_is_known_from_its_settings() -> None:
    assert BestOfN.produces_for(BestOfN.Config(reward="judge")) is Kind.CONVERSATION
    assert BestOfN.produces_for(BestOfN.Config(reward="judge", keep="all")) is Kind.RANKING


def test_of_the_first_n_only(tmp_path: Path) -> None:
    records = [ranked(*TEXTS), ranked("Five.")]
    [(_, first), (_, other)], bench = chosen(records, tmp_path, reward="judge", n=1)
    assert first.record["messages"][-1]["content"] == "Seven."
    assert [json.loads(item.record["meta"])["best_of_n"]["kl_bound"] for item in (first, other)] == [0, 0]
    [(_, first), (_, other)], bench = chosen(records, tmp_path, reward="judge", n=2)
    assert first.record["messages"][-1]["content"] == TEXTS[1]
    assert json.loads(other.record["meta"])["best_of_n"]["n"] == 1
    assert bench.reported[-1][2]["kl_bound"] == pytest.approx((math.log(2) - 0.5) / 2)


def test_of_equal_ones_the_first_is_best_and_all_of_them_are_kept(tmp_path: Path) -> None:
    record = ranked("abc", "Seven", "xyz", "Three", "Seven")
    [(_, item)], _ = chosen([record], tmp_path, reward="judge")
    assert item.record["messages"][-1]["content"] == "Seven"
    [(_, item)], _ = chosen([record], tmp_path, reward="judge", keep="all")
    texts = [one["completion"][0]["content"] for one in item.record["candidates"]]
    assert texts == ["Seven", "Three", "Seven", "abc", "xyz"]


def test_without_a_judge_the_scores_count_and_a_missing_one_fails(tmp_path: Path) -> None:
    records = [ranked("a", "b", scores=[0.5, 0.75]), ranked("a", "b", scores=[0.5]), ranked()]
    [(_, best), (_, failed), (_, dropped)], bench = chosen(records, tmp_path, None)
    assert best.record["messages"][-1]["content"] == "b"
    assert isinstance(failed, Failed)
    assert (failed.code, "candidate 1" in failed.message) == ("E-GEN-010", True)
    assert isinstance(dropped, Drop)
    assert dropped.reason == "no-candidates"
    assert bench.reported[-1][:2] == (3, 3)


def test_a_judge_that_gives_no_number_fails_the_record_alone(tmp_path: Path) -> None:
    def broken(request: Request) -> Reply:
        assert isinstance(request, Rewards)
        values = [float("nan") if answer[-1]["content"] == "Two." else 1.0 for answer in request.completions]
        return AnswerRewards(values)

    [(_, failed), (_, fine)], _ = chosen([ranked(*TEXTS), ranked("Five.")], tmp_path, broken, reward="judge")
    assert isinstance(failed, Failed)
    assert failed.code == "E-GEN-011"
    assert isinstance(fine, Created)


FUNCTION = """
def short(prompt, answer):
    prompt.clear()
    if answer[-1]["content"] == "Never.":
        raise ValueError("not this one")
    return "ten" if answer[-1]["content"] == "Ten." else -len(answer[-1]["content"])
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution with a reward function, as an installer would leave it."""
    site = tmp_path / "site"
    info = site / "chosen_rewards-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "chosen_rewards.py").write_text(FUNCTION)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: chosen-rewards\nVersion: 1.0\n")
    (info / "RECORD").write_text("chosen_rewards.py,,\nchosen_rewards-1.0.dist-info/METADATA,,\n")
    monkeypatch.syspath_prepend(site)


@pytest.mark.usefixtures("installed")
def test_a_function_judges_in_place_of_a_model(tmp_path: Path) -> None:
    records = [ranked(*TEXTS), ranked("Never.", "Two."), ranked("Two.", "Ten.")]
    [(_, best), *failed], _ = chosen(records, tmp_path, None, python="chosen_rewards:short")
    assert [turn["content"] for turn in best.record["messages"]] == ["Be brief.", "Name a {{ prime }}.", "Two."]
    assert [item.code for _, item in failed if isinstance(item, Failed)] == ["E-DATA-039", "E-DATA-039"]
    assert ["ValueError" in item.message for _, item in failed] == [True, False]


def test_one_judge_at_most() -> None:
    with pytest.raises(ValidationError, match="either reward or python"):
        BestOfN.Config(reward="judge", python="a:b")


def divergence(policy: Sequence[float], rewards: Sequence[int], n: int) -> float:
    """KL of best-of-n from a policy over a few answers, exactly: of several best draws the first is taken."""
    below = [sum(p for p, r in zip(policy, rewards, strict=True) if r < mine) for mine in rewards]
    level = [sum(p for p, r in zip(policy, rewards, strict=True) if r == mine) for mine in rewards]
    best = [p / at * ((under + at) ** n - under**n) for p, under, at in zip(policy, below, level, strict=True)]
    assert sum(best) == pytest.approx(1)
    return sum(b * math.log(b / p) for b, p in zip(best, policy, strict=True) if b > 0)


@given(st.lists(st.tuples(st.integers(1, 100), st.integers(0, 4)), min_size=1, max_size=8), st.integers(1, 64))
def test_the_divergence_is_within_the_bound(answers: list[tuple[int, int]], n: int) -> None:
    total = sum(weight for weight, _ in answers)
    found = divergence([weight / total for weight, _ in answers], [reward for _, reward in answers], n)
    assert -1e-9 <= found <= kl_bound(n) + 1e-9


def test_the_bound_is_reached_where_every_answer_is_rare_and_has_its_own_reward() -> None:
    assert divergence([1 / 1000] * 1000, range(1000), 4) == pytest.approx(kl_bound(4), abs=0.01)
