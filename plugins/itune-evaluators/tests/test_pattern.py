from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import datasets
import pytest
from pydantic import ValidationError

from itune_core.api import Answer, Ask, Completion, Evaluation, Kind, Reply, Request, features, message, prompt
from itune_core.testing import BenchContext
from itune_evaluators.pattern import Pattern


def evaluate(answers: Mapping[str, str], folder: Path, *, cut: tuple[str, ...] = (), **settings: object) -> Evaluation:
    """Evaluate the pattern on prompts whose answers are given; `cut` names prompts whose answer is unfinished."""

    def reply(request: Request) -> Reply:
        assert isinstance(request, Ask)
        asked = request.messages[-1]["content"]
        return Answer([Completion(answers[asked], "length" if asked in cut else "stop", 5, 3)])

    made = [{**prompt([message("user", asked)]), "id": f"r-{asked}"} for asked in answers]
    rows = datasets.Dataset.from_list(made, features=features(Kind.PROMPT))
    component = Pattern(Pattern.Config(models=["m"], **settings))
    return component.itune_evaluate(inputs={"records": rows}, context=BenchContext(folder, reply=reply))


def test_the_share_of_answers_that_match(tmp_path: Path) -> None:
    answers = {
        "a": "<think>Yes? No.</think>Short answer: no.",
        "b": "No.",
        "c": "short answer: yes",
        "d": "Well. Short answer: no",
    }
    result = evaluate(answers, tmp_path, pattern=r"\A(?i:short answer):", cut=("d",))
    assert result.metrics["m"] == pytest.approx(
        # Wilson, z = 1.95996: middle (0.5 + z2/8) / (1 + z2/4) = 0.5, half z sqrt((0.25 + z2/16) / 4) / (1 + z2/4).
        {"share": 0.5, "share_low": 0.15004, "share_high": 0.84996, "matched": 2, "examples": 4, "unfinished": 1},
        abs=5e-6,
    )
    assert list(result.table)[1] == {"id": "r-b", "model": "m", "answer": "No.", "matched": False, "finish": "stop"}


def test_the_model_is_asked_as_the_recipe_says(tmp_path: Path) -> None:
    asked: list[Ask] = []

    def reply(request: Request) -> Reply:
        assert isinstance(request, Ask)
        asked.append(request)
        return Answer([Completion("yes", "stop", 1, 1)])

    rows = datasets.Dataset.from_list(
        [{**prompt([message("system", "Be brief."), message("user", "Well?")]), "id": "r"}],
        features=features(Kind.PROMPT),
    )
    config = Pattern.Config(models=["m"], pattern="yes", max_tokens=7, temperature=0.5, top_p=0.9, stop=["\n"])
    Pattern(config).itune_evaluate(inputs={"records": rows}, context=BenchContext(tmp_path, reply=reply))
    assert (asked[0].model, asked[0].n, asked[0].max_tokens, asked[0].temperature) == ("m", 1, 7, 0.5)
    assert (asked[0].top_p, tuple(asked[0].stop)) == (0.9, ("\n",))
    assert [turn["role"] for turn in asked[0].messages] == ["system", "user"]
    assert Pattern.Config(models=["m"], pattern="yes").temperature == 0


def test_a_pattern_that_does_not_compile_is_refused_before_any_work() -> None:
    with pytest.raises(ValidationError, match="not a regular expression: missing \\) at character 5"):
        Pattern.Config(models=["m"], pattern="(yes")


def test_a_pattern_that_backtracks_without_end_fails_the_record_and_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("itune_evaluators.pattern.SECONDS", 0.1)
    started = time.monotonic()
    result = evaluate({"bad": "a" * 200 + "b", "good": "a"}, tmp_path, pattern=r"\A(a|aa)+\Z")
    assert time.monotonic() - started < 10
    assert result.failed["r-bad"].code == "E-EVAL-002"
    assert result.metrics["m"]["examples"] == 1  # not a miss: it is not counted at all
    assert result.metrics["m"]["share"] == 1.0
