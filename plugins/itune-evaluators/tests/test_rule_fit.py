"""evaluators/rule-fit on models whose losses are known."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest
from pydantic import ValidationError

from itune_core.api import (
    DataError,
    Evaluation,
    Failed,
    Kind,
    LogProbs,
    Request,
    TokenLogProbs,
    conversation,
    features,
    message,
    prompt,
)
from itune_core.testing import BenchContext
from itune_evaluators.inference_loss import InferenceLoss
from itune_evaluators.rule_fit import RuleFit

INDICATORS = {"length": "score.length.words", "reward": "score.reward"}


def scored(length: Sequence[float | None], reward: Sequence[float | None]) -> datasets.Dataset:
    """A mixture whose rows have these scores."""
    talk = conversation([message("user", "What is it?"), message("assistant", "It is this.")])
    rows = datasets.Dataset.from_list(
        [{**talk, "id": f"m{number}"} for number in range(len(length))], features=features(Kind.CONVERSATION)
    )
    columns = {"score.length.words": length, "score.reward": reward}
    return datasets.concatenate_datasets([rows, datasets.Dataset.from_dict(columns)], axis=1)


def mixtures(count: int, seed: int = 3) -> list[datasets.Dataset]:
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        length, reward = rng.uniform(20, 200), rng.uniform(-2, 2)
        made.append(scored([length - 5, length + 5], [reward + 1, reward - 1]))
    return made


def mean(rows: datasets.Dataset, column: str) -> float:
    values = rows[column][:]
    return math.fsum(values) / len(values)


EVALUATION = datasets.Dataset.from_list(
    [
        {**prompt([message("user", f"Question {number}?")], references=["One.", "Another one."]), "id": f"q{number}"}
        for number in range(3)
    ],
    features=features(Kind.PROMPT),
)


def run(
    folder: Path,
    losses: Mapping[str, float],
    inputs: Mapping[str, Any],
    asked: list[Request] | None = None,
    **more: Any,
) -> Evaluation:
    """The evaluation of models that give each token the same probability."""

    def reply(request: Request) -> TokenLogProbs:
        if asked is not None:
            asked.append(request)
        return TokenLogProbs([-losses[request.model]] * 4)

    config = RuleFit.Config(**{"mixture_models": list(losses), "indicators": INDICATORS, **more})
    context = BenchContext(folder, reply=reply)
    return RuleFit(config).itune_evaluate(inputs={"records": EVALUATION, **inputs}, context=context)


def known_rule(made: Sequence[datasets.Dataset], error: float = 0.0) -> dict[str, float]:
    """Losses of which the logarithm is 1 + 0.002 length - 0.1 reward, but for an error."""
    rng = random.Random(8)
    return {
        f"tuned{number}": math.exp(
            1 + 0.002 * mean(rows, "score.length.words") - 0.1 * mean(rows, "score.reward") + rng.gauss(0, error)
        )
        for number, rows in enumerate(made)
    }


def test_a_known_rule_is_found(tmp_path: Path) -> None:
    made = mixtures(24)
    result = run(tmp_path, known_rule(made, error=0.01), {"mixtures": made})
    figures = result.metrics[""]
    assert figures["length.coefficient"] == pytest.approx(0.002, rel=0.1)
    assert figures["reward.coefficient"] == pytest.approx(-0.1, rel=0.1)
    assert figures["intercept"] == pytest.approx(1, abs=0.02)
    assert figures["predictors"] == 2
    assert figures["mixtures"] == 24
    assert figures["permutation_p"] == 1 / 1000
    assert 0.95 < figures["loo_r2"] <= figures["press_r2"] + 1e-9 < figures["r2"] <= 1
    assert figures["reward.rho_high"] < 0 < figures["length.rho"]

    rule = result.rule
    assert rule is not None
    assert rule.target == "log inference loss"
    assert dict(rule.indicators) == INDICATORS
    for row in result.table:
        values = {name: row[f"mean.{name}"] for name in INDICATORS}
        assert rule.predict(values) == pytest.approx(row["predicted"])
        assert row["log_loss"] - row["predicted"] == pytest.approx(row["residual"])
        assert math.log(row["loss"]) == row["log_loss"]
    assert rule.notes["loo_r2"] == figures["loo_r2"]


def test_losses_are_those_of_inference_loss(tmp_path: Path) -> None:
    """The same figures from the same requests, which the engine then finds in the journal."""
    made = mixtures(4)
    losses = known_rule(made)
    asked: list[Request] = []
    result = run(tmp_path, losses, {"mixtures": made}, asked)
    component = InferenceLoss(InferenceLoss.Config(models=list(losses)))
    again: list[Request] = []

    def reply(request: Request) -> TokenLogProbs:
        again.append(request)
        return TokenLogProbs([-losses[request.model]] * 4)

    context = BenchContext(tmp_path, reply=reply)
    measured = component.itune_evaluate(inputs={"records": EVALUATION}, context=context)
    assert asked == again
    assert len(asked) == 4 * 3 * 2
    assert [row["loss"] for row in result.table] == [figures["example_mean"] for figures in measured.metrics.values()]


def test_nothing_significant_is_a_rule_without_predictors(tmp_path: Path) -> None:
    made = mixtures(16)
    rng = random.Random(1)
    losses = {f"tuned{number}": math.exp(rng.gauss(1, 0.1)) for number in range(16)}
    result = run(tmp_path, losses, {"mixtures": made}, alpha=0.001)
    figures, rule = result.metrics[""], result.rule
    assert rule is not None
    assert figures["predictors"] == 0
    assert figures["r2"] == 0
    assert figures["permutation_p"] == 1
    assert not any(name.endswith(".coefficient") for name in figures)
    assert dict(rule.coefficients) == {}
    assert rule.predict({}) == pytest.approx(figures["mean_log_loss"])
    assert [row["predicted"] for row in result.table] == pytest.approx([figures["mean_log_loss"]] * 16)


def test_strata_are_studied_apart_and_take_no_part_in_the_fit(tmp_path: Path) -> None:
    made = mixtures(10)
    losses = known_rule(made, error=0.05)
    by_length = [scored([200 - 10 * layer] * 2, [0.5, -0.5 - layer % 3]) for layer in range(8)]
    by_reward = [scored([50 + layer % 3] * 2, [2 - layer / 4] * 2) for layer in range(8)]
    strata = {f"l{layer}": 2.0 - layer / 10 for layer in range(8)} | {
        f"r{layer}": 1.0 + layer % 2 for layer in range(8)
    }
    alone = run(tmp_path, losses, {"mixtures": made})
    result = run(
        tmp_path,
        losses | strata,
        {"mixtures": made, "strata": [*by_length, *by_reward]},
        mixture_models=list(losses),
        strata_models=list(strata),
        sorted_by=["length", "reward"],
    )
    figures = result.metrics[""]
    assert {name: figures[name] for name in alone.metrics[""]} == alone.metrics[""]
    assert result.rule == alone.rule
    assert figures["length.strata_rho"] == 1
    assert "length.strata_rho_low" not in figures  # of a perfect order the interval's formula says nothing
    assert figures["reward.strata_rho_low"] < figures["reward.strata_rho"] < figures["reward.strata_rho_high"]
    layers = [row for row in result.table if row["sorted_by"]]
    assert [(row["sorted_by"], row["stratum"]) for row in layers] == [
        (name, number) for name in ("length", "reward") for number in range(8)
    ]
    assert [row["loss"] for row in layers] == pytest.approx(list(strata.values()))


def refusal(folder: Path, code: str, losses: Mapping[str, float], inputs: Mapping[str, Any], **more: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        run(folder, losses, inputs, **more)
    assert caught.value.code == code
    return caught.value


def test_what_is_not_known_of_a_mixture_is_not_guessed(tmp_path: Path) -> None:
    made = mixtures(4)
    losses = known_rule(made)
    error = refusal(tmp_path, "E-EVAL-022", losses, {"mixtures": [*made[:3], scored([1.0, None], [1.0, 2.0])]})
    assert "1 of 2 of mixtures[3] lack score.length.words" in error.what
    assert "m1" in (error.where or "")
    refusal(tmp_path, "E-EVAL-022", losses, {"mixtures": [*made[:3], scored([1.0, math.nan], [1.0, 2.0])]})
    refusal(tmp_path, "E-EVAL-020", losses, {"mixtures": [made[0].select([]), *made[1:]]})
    words = made[0].remove_columns("score.reward").add_column("score.reward", ["good", "bad"])
    refusal(tmp_path, "E-EVAL-021", losses, {"mixtures": [words, *made[1:]]})


def test_data_sets_and_models_must_belong_together(tmp_path: Path) -> None:
    made = mixtures(4)
    losses = known_rule(made)
    assert "3 mixtures and 4 models" in refusal(tmp_path, "E-EVAL-023", losses, {"mixtures": made[:3]}).what
    up_and_down = [scored([length] * 2, [1.0, 2.0]) for length in (3.0, 1.0, 2.0)]
    more = {"mixture_models": list(losses), "sorted_by": ["length"], "strata_models": ["a", "b", "c"]}
    everything = {**losses, "a": 1.0, "b": 1.1, "c": 1.2}
    error = refusal(tmp_path, "E-EVAL-024", everything, {"mixtures": made, "strata": up_and_down}, **more)
    assert "goes up and down" in (error.why or "")
    more["sorted_by"] = ["length", "reward"]
    error = refusal(tmp_path, "E-EVAL-024", everything, {"mixtures": made, "strata": up_and_down}, **more)
    assert "3 strata are not two or more for each of 2" in (error.why or "")


def test_what_does_not_determine_a_rule(tmp_path: Path) -> None:
    losses = known_rule(mixtures(8))
    constant = [scored([5.0, 5.0], [float(number), 1.0]) for number in range(8)]
    assert "mean length is the same" in str(refusal(tmp_path, "E-EVAL-026", losses, {"mixtures": constant}).why)
    collinear = [scored([float(number), number + 2.0], [2.0 * number, 3.0]) for number in range(8)]
    assert "a sum of" in str(refusal(tmp_path, "E-EVAL-026", losses, {"mixtures": collinear}).why)
    three = dict(list(losses.items())[:3])
    error = refusal(tmp_path, "E-EVAL-026", three, {"mixtures": mixtures(3)}, most_per=1)
    assert "at least 4 mixtures" in str(error.why)
    same = dict.fromkeys(losses, 2.0)
    assert "the same loss" in str(refusal(tmp_path, "E-EVAL-026", same, {"mixtures": mixtures(8)}).why)


def test_records_that_one_model_cannot_be_measured_on_count_for_none(tmp_path: Path) -> None:
    made = mixtures(4)
    losses = known_rule(made)

    def reply(request: Request) -> TokenLogProbs | Failed:
        assert isinstance(request, LogProbs)
        if request.model == "tuned2" and request.prompt[-1]["content"] == "Question 1?":
            return Failed("E-BACKEND-004", "too long")
        return TokenLogProbs([-losses[request.model] * (2 if "Question 1" in str(request.prompt) else 1)])

    component = RuleFit(RuleFit.Config(mixture_models=list(losses), indicators=INDICATORS))
    result = component.itune_evaluate(
        inputs={"records": EVALUATION, "mixtures": made}, context=BenchContext(tmp_path, reply=reply)
    )
    assert list(result.failed) == ["q1"]
    assert [row["loss"] for row in result.table] == pytest.approx(list(losses.values()))

    nothing = RuleFit(component.config).itune_evaluate
    context = BenchContext(tmp_path, reply=lambda request: Failed("E-BACKEND-004", "too long"))
    with pytest.raises(DataError, match="no record could be measured"):
        nothing(inputs={"records": EVALUATION, "mixtures": made}, context=context)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sorted_by": ["colour"], "strata_models": ["a", "b"]},
        {"sorted_by": ["length"]},
        {"strata_models": ["a", "b"]},
        {"sorted_by": ["length", "length"], "strata_models": ["a", "b", "c", "d"]},
        {"indicators": {}},
        {"indicators": {"length": "words"}},
        {"mixture_models": []},
        {"alpha": 1.0},
    ],
)
def test_settings_that_make_no_sense(wrong: Mapping[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RuleFit.Config(**{"mixture_models": ["a", "b", "c"], "indicators": INDICATORS, **wrong})
