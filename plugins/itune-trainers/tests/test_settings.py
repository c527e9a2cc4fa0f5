from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

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


def test_dropout_beside_a_reference_is_refused() -> None:
    with pytest.raises(ValidationError, match="dropout is not used"):
        DPO.Config(model="m", lora={"dropout": 0.1})


@pytest.mark.parametrize("component", [SFT, DPO])
def test_every_setting_is_described(component: Any) -> None:
    undescribed = [name for name, field in component.Config.model_fields.items() if not field.description]
    assert undescribed == []
