"""Every objective over pairs: it lowers its own loss, takes soft labels, and refuses what it does not use."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points

import datasets
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from itune_core.testing.context import BenchContext
from itune_trainers import Logps, PairObjective

Bench = Callable[..., BenchContext]

OBJECTIVES: dict[str, type[PairObjective]] = {
    found.name: loaded
    for found in entry_points(group="itune.trainers")
    if found.value.startswith("itune_trainers.") and issubclass(loaded := found.load(), PairObjective)
    if found.name != "preference"
}
SETTINGS = {"model": "tiny", "dtype": "float32", "device": "cpu", "learning_rate": 1e-3, "batch_size": 4}


def test_all_are_here() -> None:
    assert OBJECTIVES.keys() == {
        *("apo-zero", "cdpo", "cpo", "dpo", "exo", "ipo", "orpo", "reward", "robust-dpo", "rso-hinge", "rso-sigmoid"),
        *("simpo", "slic", "slic-norm", "sppo"),
    }


@pytest.mark.parametrize("name", OBJECTIVES)
def test_it_lowers_its_own_loss_and_tells_the_answers_apart(name: str, pairs: datasets.Dataset, bench: Bench) -> None:
    objective = OBJECTIVES[name]
    made = objective(objective.Config(**SETTINGS, epochs=4)).train({"train": pairs, "eval": pairs}, bench())
    metrics = made.metrics
    assert metrics["eval/loss"] < metrics["eval/loss/before"]
    assert metrics["eval/rewards/margins"] > metrics["eval/rewards/margins/before"]
    assert metrics["eval/rewards/margins"] == pytest.approx(
        metrics["eval/rewards/chosen"] - metrics["eval/rewards/rejected"], abs=1e-4
    )


def batch(*numbers: float, label: float) -> Logps:
    chosen, rejected, reference_chosen, reference_rejected = numbers
    return Logps(
        policy=torch.tensor([chosen, rejected], dtype=torch.float64),
        reference=torch.tensor([reference_chosen, reference_rejected], dtype=torch.float64),
        tokens=torch.tensor([3, 5]),
        labels=torch.tensor([label], dtype=torch.float64),
        rows=torch.tensor([2]),
        scores=torch.zeros(2),
    )


logp = st.floats(-20, -0.1)


@pytest.mark.parametrize("name", [name for name in OBJECTIVES if name not in ("exo", "sppo")])
@given(w=logp, l=logp, rw=logp, rl=logp, p=st.floats(0, 1))
def test_a_soft_label_is_an_expectation(name: str, w: float, l: float, rw: float, rl: float, p: float) -> None:  # noqa: E741
    objective = OBJECTIVES[name](OBJECTIVES[name].Config(**SETTINGS))

    def loss(label: float) -> float:
        return objective.loss(batch(w, l, rw, rl, label=label)).item()

    assert loss(p) == pytest.approx(p * loss(1.0) + (1 - p) * loss(0.0), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", ["exo", "sppo"])
def test_of_exo_and_sppo_a_label_is_what_is_aimed_at(name: str) -> None:
    objective = OBJECTIVES[name](OBJECTIVES[name].Config(**SETTINGS))
    even = batch(-3.0, -4.0, -3.0, -4.0, label=0.5)
    assert objective.loss(even).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("key", ["beta", "gamma", "label_smoothing", "margin", "weight", "alpha", "regulariser"])
def test_a_setting_it_does_not_use_is_refused(name: str, key: str) -> None:
    config = OBJECTIVES[name].Config
    if key in config.model_fields:
        assert getattr(config(**SETTINGS, **{key: 0.25}), key) == 0.25
    else:
        with pytest.raises(ValidationError):
            config(**SETTINGS, **{key: 0.25})


@pytest.mark.parametrize("name", [name for name, objective in OBJECTIVES.items() if objective.needs_reference])
def test_dropout_is_refused_beside_a_reference(name: str) -> None:
    with pytest.raises(ValidationError, match=r"lora\.dropout"):
        OBJECTIVES[name].Config(**SETTINGS, lora={"dropout": 0.1})
