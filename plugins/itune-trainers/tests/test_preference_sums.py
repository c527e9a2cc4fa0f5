"""Sums of objectives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import datasets
import pytest
import torch
from pydantic import ValidationError

from itune_core.testing.context import BenchContext
from itune_trainers import Logps
from itune_trainers.objectives.dpo import DPO
from itune_trainers.objectives.ipo import IPO
from itune_trainers.objectives.preference import TERMS, Preference
from itune_trainers.objectives.simpo import SimPO

Bench = Callable[..., BenchContext]
SETTINGS = {"model": "tiny", "dtype": "float32", "device": "cpu", "learning_rate": 1e-3, "batch_size": 4}
LOGPS = Logps(
    policy=torch.tensor([-3.0, -4.0, -5.0, -2.0]),
    reference=torch.tensor([-3.5, -3.0, -5.0, -4.0]),
    tokens=torch.tensor([3, 2, 5, 4]),
    labels=torch.tensor([1.0, 0.7]),
    rows=torch.tensor([2, 2]),
    scores=torch.zeros(4),
)


def summed(**objectives: Any) -> Preference:
    return Preference(Preference.Config(**SETTINGS, objectives=objectives))


def test_a_sum_is_the_sum_of_its_terms() -> None:
    sum_of = summed(dpo={"weight": 2, "beta": 0.3}, ipo=0.5, sft=0.2)
    dpo = DPO(DPO.Config(**SETTINGS, beta=0.3)).loss(LOGPS)
    ipo = IPO(IPO.Config(**SETTINGS)).loss(LOGPS)
    # of the second pair the chosen answer is the better one with probability 0.7
    likelihood = torch.tensor([3.0 / 3, 0.7 * 5.0 / 5 + 0.3 * 2.0 / 4])
    assert torch.allclose(sum_of.loss(LOGPS), 2 * dpo + 0.5 * ipo + 0.2 * likelihood)
    figures = sum_of.figures(LOGPS)
    assert torch.allclose(figures["loss/dpo"], dpo)
    assert torch.allclose(figures["rewards/chosen"], 0.3 * torch.tensor([0.5, 0.0]))


def test_one_term_is_that_objective() -> None:
    for name in ("dpo", "simpo", "exo"):
        alone = TERMS[name](TERMS[name].Config(**SETTINGS))
        assert torch.equal(summed(**{name: 1}).loss(LOGPS), alone.loss(LOGPS))


def test_a_reference_is_computed_only_where_a_term_needs_one(pairs: datasets.Dataset, bench: Bench) -> None:
    assert not summed(simpo=1, sft=1).needs_reference
    assert summed(simpo=1, dpo=1).needs_reference
    made = summed(orpo=1, simpo=1).train({"train": pairs, "eval": pairs}, bench())
    assert made.metrics["eval/loss"] < made.metrics["eval/loss/before"]


def test_the_likelihood_term_holds_the_chosen_answers_up(pairs: datasets.Dataset, bench: Bench) -> None:
    """What it is for: DPO alone is content with chosen answers that become less likely than they were."""
    figures = {
        name: Preference(Preference.Config(**SETTINGS, epochs=6, objectives=objectives))
        .train({"train": pairs, "eval": pairs}, bench(name))
        .metrics["eval/logps/chosen"]
        for name, objectives in {"alone": {"dpo": 1}, "held": {"dpo": 1, "sft": 1}}.items()
    }
    assert figures["held"] > figures["alone"]


@pytest.mark.parametrize(
    ("objectives", "said"),
    [
        ({}, "at least 1"),
        ({"ppo": 1}, "no term 'ppo'"),
        ({"dpo": 0}, "above 0"),
        ({"dpo": {"weight": -1}}, "above 0"),
        ({"dpo": {"gamma": 1}}, "no setting 'gamma'"),
        ({"dpo": {"beta": -1}}, "greater than 0"),
        ({"sft": {"learning_rate": 1}}, "no setting 'learning_rate'"),
    ],
)
def test_what_makes_no_sense_is_refused(objectives: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        summed(**objectives)


def test_dropout_beside_a_term_with_a_reference_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"lora\.dropout"):
        Preference.Config(**SETTINGS, lora={"dropout": 0.1}, objectives={"dpo": 1})
    assert Preference.Config(**SETTINGS, lora={"dropout": 0.1}, objectives={"simpo": 1})


def test_settings_that_all_have_reach_the_terms() -> None:
    term = summed(simpo={"gamma": 0.5}).terms["simpo"][1]
    assert isinstance(term, SimPO)
    assert (term.config.gamma, term.config.batch_size, term.config.model) == (0.5, 4, "tiny")
