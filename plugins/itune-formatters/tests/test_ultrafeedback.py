from __future__ import annotations

import json
from typing import Any

import pytest

from itune_core.api import Kind, Record
from itune_formatters.preferences.ultrafeedback import UltraFeedback
from itune_formatters.preferences.ultrafeedback_pairs import UltraFeedbackPairs


def answer(model: str, ratings: str, overall: Any = 7.0, **more: Any) -> dict[str, Any]:
    """An answer with ratings for the four aspects, a digit each, ``-`` where one does not apply."""
    aspects = ("instruction_following", "honesty", "truthfulness", "helpfulness")
    return {
        "model": model,
        "principle": "helpfulness",
        "custom_system_prompt": "Be of use.",
        "response": f"{model} speaks.",
        "annotations": {
            name: {"Rating": "N/A" if digit == "-" else digit, "Rationale": "Because."}
            for name, digit in zip(aspects, ratings, strict=True)
        },
        "critique": "Fine.",
        "overall_score": overall,
        "fine-grained_score": 0,
        **more,
    }


def row(*answers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"source": "flan_v2", "instruction": "Name a tree.", "models": ["a"], "completions": list(answers), **more}


FOUR = row(
    answer("alpaca", "5555", 6), answer("bard", "4-32", 8), answer("gpt-4", "1112", "10"), answer("llama", "3333", 9)
)


def scores(record: Record) -> list[tuple[str, float]]:
    return [(item["model"], item["score"]) for item in record["candidates"]]


def test_the_mean_of_aspects(run: Any) -> None:
    [made] = run(UltraFeedback, [FOUR])
    assert made.kind is Kind.RANKING
    assert made["prompt"][0]["content"] == "Name a tree."
    assert scores(made) == [("alpaca", 5.0), ("bard", 3.0), ("gpt-4", 1.25), ("llama", 3.0)]
    assert made["candidates"][0]["completion"][0]["content"] == "alpaca speaks."
    assert made["source"] == "flan_v2"
    meta = json.loads(made["meta"])
    assert meta.keys() == {"models", "completions"}
    assert meta["completions"][1]["principle"] == "helpfulness"
    assert meta["completions"][1]["annotations"]["honesty"]["Rating"] == "N/A"
    assert all("response" not in item for item in meta["completions"])


@pytest.mark.parametrize(
    ("suspect", "expected", "left_out"),
    [
        ("drop", [("alpaca", 6.0), ("bard", 8.0), ("llama", 9.0)], {"suspect": 1}),
        ("one", [("alpaca", 6.0), ("bard", 8.0), ("gpt-4", 1.0), ("llama", 9.0)], None),
        ("keep", [("alpaca", 6.0), ("bard", 8.0), ("gpt-4", 10.0), ("llama", 9.0)], None),
    ],
)
def test_the_worst_that_was_scored_best(run: Any, suspect: str, expected: Any, left_out: Any) -> None:
    [made] = run(UltraFeedback, [FOUR], score="overall", suspect=suspect)
    assert scores(made) == expected
    assert json.loads(made["meta"]).get("left_out") == left_out


@pytest.mark.parametrize(
    ("ratings", "suspicious"), [("2222", True), ("2--2", True), ("2223", False), ("5555", False), ("----", False)]
)
def test_which_tens_are_suspicious(run: Any, ratings: str, suspicious: bool) -> None:
    rows = [row(answer("a", "3333", 5), answer("b", "3333", 4), answer("c", ratings, 10.0))]
    [made] = run(UltraFeedback, rows, score="overall")
    assert len(made["candidates"]) == (2 if suspicious else 3)


def test_answers_that_cannot_be_compared(run: Any) -> None:
    bad = [answer("c", "----", None), answer("d", "5555", response=" ")]
    [made, dropped] = run(
        UltraFeedback, [row(answer("a", "1111"), answer("b", "2222"), *bad), row(answer("a", "1111"), *bad)]
    )
    assert scores(made) == [("a", 1.0), ("b", 2.0)]
    assert json.loads(made["meta"])["left_out"] == {"not-rated": 1, "empty-output": 1}
    assert (dropped.reason, dropped.detail) == ("too-few-candidates", "1, 1 not-rated, 1 empty-output")


@pytest.mark.parametrize(
    ("fields", "result"),
    [
        ({"instruction": " "}, "empty-prompt"),
        ({"instruction": None}, "E-DATA-002"),
        ({"completions": []}, "too-few-candidates"),
        ({"completions": None}, "E-FORMAT-048"),
        ({"completions": ["a"]}, "E-FORMAT-048"),
        ({"completions": [answer("a", "1119"), answer("b", "1111")]}, "E-FORMAT-048"),
        ({"completions": [answer("a", "111x"), answer("b", "1111")]}, "E-FORMAT-048"),
        ({"completions": [answer("a", "1111", annotations=None)]}, "E-FORMAT-048"),
        ({"completions": [answer("a", "1111", annotations={"honesty": 3})]}, "E-FORMAT-048"),
        ({"completions": [answer("a", "1111", overall="ten")]}, "E-FORMAT-048"),
        ({"completions": [answer("a", "1111", overall=True)]}, "E-FORMAT-048"),
        ({"completions": [answer("a", "1111", overall=10**400)]}, "E-FORMAT-048"),
        ({"completions": [answer("a", "1111", response=None)]}, "E-DATA-002"),
    ],
)
@pytest.mark.parametrize("formatter", [UltraFeedback, UltraFeedbackPairs])
def test_drops_and_failures(run: Any, formatter: Any, fields: Any, result: str) -> None:
    [found] = run(formatter, [{**FOUR, **fields}])
    assert getattr(found, "reason", getattr(found, "code", "record")) == result


def test_pairs(run: Any) -> None:
    made = run(UltraFeedbackPairs, [FOUR], pairs="adjacent")
    found = [(item["chosen"][0]["content"], item["rejected"][0]["content"], item["margin"]) for item in made]
    assert found == [
        ("alpaca speaks.", "bard speaks.", 2.0),
        ("alpaca speaks.", "llama speaks.", 2.0),
        ("bard speaks.", "gpt-4 speaks.", 1.75),
        ("llama speaks.", "gpt-4 speaks.", 1.75),
    ]
    assert json.loads(made[0]["meta"])["pair"] == ["alpaca", "bard"]
    [made] = run(UltraFeedbackPairs, [FOUR], pairs="best-worst")
    assert (made.kind, made["margin"], made["source"]) == (Kind.PREFERENCE, 3.75, "flan_v2")
    rejected = {run(UltraFeedbackPairs, [{**FOUR, "n": n}])[0]["rejected"][0]["content"] for n in range(40)}
    assert rejected == {"bard speaks.", "gpt-4 speaks.", "llama speaks."}


def test_pairs_that_are_none(run: Any) -> None:
    same = [answer("a", "1111"), answer("b", "2222", response="a speaks.")]
    reasons = [
        item.reason for item in run(UltraFeedbackPairs, [row(answer("a", "1111"), answer("b", "1111")), row(*same)])
    ]
    assert reasons == ["equal-scores", "equal-responses"]
