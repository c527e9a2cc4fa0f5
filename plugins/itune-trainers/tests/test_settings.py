from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from itune_core.api import ModelError
from itune_trainers.objectives.dpo import DPO
from itune_trainers.objectives.sft import SFT


class Known:
    """Facts of a machine that has been measured."""

    def __init__(self, **facts: Any) -> None:
        self.facts = facts

    def get(self, name: str, measure: Callable[[], Any]) -> Any:
        return self.facts[name]


def test_auto_follows_the_machine() -> None:
    facts = Known(**{"torch.best_device": "cpu", "torch.bfloat16_speedup": 1.9})
    settled = SFT(SFT.Config(model="m")).settle(facts)
    assert (settled.dtype, settled.device) == ("bfloat16", "cpu")
    facts.facts["torch.bfloat16_speedup"] = 0.4
    assert SFT(SFT.Config(model="m")).settle(facts).dtype == "float32"


def test_all_weights_are_trained_in_float32_whatever_the_machine() -> None:
    facts = Known(**{"torch.best_device": "cpu"})  # the speed is not even asked for
    assert SFT(SFT.Config(model="m", adapter="none", learning_rate=1e-5)).settle(facts).dtype == "float32"


def test_the_speed_is_that_of_the_device() -> None:
    facts = Known(**{"torch.best_device": "cuda", "torch.bfloat16_speedup.cuda": 2.0, "torch.bfloat16_speedup": 0.5})
    settled = SFT(SFT.Config(model="m")).settle(facts)
    assert (settled.dtype, settled.device) == ("bfloat16", "cuda")


def test_what_is_said_is_not_settled() -> None:
    config = SFT.Config(model="m", dtype="float32", device="cuda:1")
    assert SFT(config).settle(Known()) == config


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"adapter": "none"}, "learning_rate must be given"),
        ({"adapter": "none", "learning_rate": 1e-5, "lora": {"rank": 8}}, "lora is not used"),
        ({"adapter": "none", "learning_rate": 1e-5, "dtype": "bfloat16"}, "in float32"),
        ({"lora": {"rank": 0}}, "greater than or equal to 1"),
        ({"learning_rate": 0}, "greater than 0"),
        ({"warmup": 1.0}, "less than 1"),
        ({"overlength": "cut"}, "truncate-prompt"),
        ({"learing_rate": 1e-4}, "Extra inputs"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        SFT.Config(model="m", **settings)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_device_that_is_not_there_is_no_bug_of_itune_s() -> None:
    """Asked how fast it is, or before any row is read."""

    class Unknown(Known):
        def get(self, name: str, measure: Callable[[], Any]) -> Any:
            return measure()

    for dtype in ("auto", "float32"):
        objective = SFT(SFT.Config(model="m", device="cuda", dtype=dtype))
        with pytest.raises(ModelError, match="no device 'cuda'") as caught:
            type(objective)(objective.settle(Unknown())).train({"train": None}, None)
        assert caught.value.code == "E-TRAIN-017"


@pytest.mark.parametrize(
    ("launch", "code"),
    [({"config": "no-such.yaml"}, "E-TRAIN-096"), ({"processes": 2}, "E-TRAIN-090")],
)
def test_processes_that_cannot_be_had_are_refused_before_any_row_is_read(launch: dict[str, Any], code: str) -> None:
    with pytest.raises(ModelError) as caught:
        SFT(SFT.Config(model="m", device="mps", dtype="float32", launch=launch)).train({"train": None}, None)
    assert caught.value.code == code


def test_quantised_weights_are_not_divided() -> None:
    settings = {"quantize": "4bit", "launch": {"processes": 2, "strategy": "fsdp2"}}
    with pytest.raises(ValidationError, match=r"cannot be divided|bitsandbytes"):
        SFT.Config(model="m", **settings)


def test_dropout_beside_a_reference_is_refused() -> None:
    with pytest.raises(ValidationError, match="dropout is not used"):
        DPO.Config(model="m", lora={"dropout": 0.1})


@pytest.mark.parametrize("component", [SFT, DPO])
def test_every_setting_is_described(component: Any) -> None:
    undescribed = [name for name, field in component.Config.model_fields.items() if not field.description]
    assert undescribed == []
