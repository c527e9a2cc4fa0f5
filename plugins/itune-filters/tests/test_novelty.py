"""Self-Instruct's rule of novelty."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenize import tokenize

from itune_core.api import DataError, Drop, Failed, Keep, Record, message, prompt
from itune_filters.novelty import Novelty

DATA = Path(os.environ.get("ITUNE_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data")
ALPACA = DATA / "alpaca" / "alpaca_data.jsonl.gz"

Judge = Callable[..., list[Any]]


def asked(*texts: str) -> list[Record]:
    return [prompt([message("user", text)], id=f"r{number}") for number, text in enumerate(texts)]


@pytest.fixture
def judge_with_seeds(judge_with: Judge) -> Judge:
    def judge(rows: Sequence[Record], seeds: Sequence[Record]) -> list[Any]:
        return judge_with(Novelty, rows, others={"seeds": seeds})

    return judge


def test_dropped_are_those_like_a_kept_one(judge: Judge) -> None:
    rows = asked(
        "Name three birds that cannot fly",
        "Name three birds that cannot swim",  # 5 of 6 and 6
        "Name four fish that can swim",
        "NAME three birds, that cannot swim - or fly!",  # with the first 6 of 6 and 8; the second would be nearer
    )
    assert judge(Novelty, rows) == [
        Keep(),
        Drop("not-novel", "ROUGE-L 0.833 with r0"),
        Keep(),
        Drop("not-novel", "ROUGE-L 0.857 with r0"),
    ]
    assert judge(Novelty, rows, threshold=0.9) == [Keep()] * 4


def test_seeds_are_in_the_pool_and_are_not_judged(judge_with_seeds: Judge) -> None:
    seeds = [row.replace(id=f"s{number}") for number, row in enumerate(asked("Sort these words", "Sort these words"))]
    verdicts = judge_with_seeds(asked("Sort these numbers", "Sort these words now", "Write a poem"), seeds)
    assert verdicts == [Keep(), Drop("not-novel", "ROUGE-L 0.857 with seed s0"), Keep()]
    assert judge_with_seeds(asked("Write a poem"), []) == [Keep()]


def test_a_seed_that_cannot_be_compared_ends_the_step(judge_with_seeds: Judge) -> None:
    with pytest.raises(DataError, match="E-FILTER-052") as raised:
        judge_with_seeds(asked("Sort these"), asked("단어를 정렬하세요"))
    assert raised.value.where == "seed r0"
    assert "tokens: words" in (raised.value.fix or "")


KOREAN = ["서울의 오늘 날씨를 알려 주세요", "서울의 내일 날씨를 알려 주세요", "시를 한 편 지어 주세요"]
JAPANESE = ["東京の明日の天気を教えてください", "東京の今日の天気を教えてください", "俳句を一句詠んで"]


@pytest.mark.parametrize("texts", [KOREAN, JAPANESE])
def test_other_scripts_fail_under_rouge_and_are_compared_by_words_or_characters(judge: Judge, texts: list[str]) -> None:
    verdicts = judge(Novelty, asked(*texts))
    assert all(isinstance(verdict, Failed) and verdict.code == "E-FILTER-050" for verdict in verdicts)
    for unit in ("words", "characters"):
        verdicts = judge(Novelty, asked(*texts), tokens=unit)
        assert [type(verdict) for verdict in verdicts] == [Keep, Drop, Keep]


def test_a_failed_row_changes_no_other(judge: Judge) -> None:
    rows = asked("Sort these words", "?!", "Sort these words")
    verdicts = judge(Novelty, rows)
    assert [type(verdict) for verdict in verdicts] == [Keep, Failed, Drop]
    assert verdicts[2].detail == "ROUGE-L 1.000 with r0"


def test_a_system_turn_makes_nothing_alike(judge: Judge) -> None:
    system = message("system", "You are a kind and patient helper who answers in one sentence.")
    rows = [prompt([system, message("user", text)], id=text) for text in ("Sort these", "Write a poem")]
    assert judge(Novelty, rows) == [Keep(), Keep()]


@pytest.mark.skipif(not ALPACA.is_file(), reason="needs alpaca/ below the folder that ITUNE_TEST_DATA names")
def test_decisions_are_those_of_rouge_score_on_800_real_instructions(judge: Judge) -> None:
    with gzip.open(ALPACA, "rt", encoding="utf-8") as stream:
        instructions = sorted({json.loads(line)["instruction"] for line in stream})
    # In the order of the alphabet, where like stands by like, so that many are near the threshold.
    texts = instructions[20_000:20_800]
    values = pairwise_rouge_l(texts)
    for threshold, dropped in ((0.5, 100), (0.6, 20), (0.7, 5)):
        expected = naive(values, threshold)
        verdicts = judge(Novelty, asked(*texts), threshold=threshold)
        assert [verdict == Keep() for verdict in verdicts] == expected
        assert expected.count(False) >= dropped


def pairwise_rouge_l(texts: Sequence[str]) -> list[list[float]]:
    """The score of rouge-score of every text with each before it."""

    class Read:
        """Tokens of a text that was read before: to tokenise each pair anew would take most of the time."""

        known = {text: tokenize(text, None) for text in texts}

        def tokenize(self, text: str) -> list[str]:
            return self.known[text]

    scorer = RougeScorer(["rougeL"], tokenizer=Read())
    return [
        [scorer.score(earlier, text)["rougeL"].fmeasure for earlier in texts[:row]] for row, text in enumerate(texts)
    ]


def naive(values: Sequence[Sequence[float]], threshold: float) -> list[bool]:
    """Which are kept by the loop of Self-Instruct."""
    kept: list[int] = []
    for row, scores in enumerate(values):
        if all(scores[earlier] < threshold for earlier in kept):
            kept.append(row)
    return [row in set(kept) for row in range(len(values))]
