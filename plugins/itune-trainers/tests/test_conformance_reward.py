"""The trainer of reward models keeps to the contract that all trainers keep to."""

from __future__ import annotations

from itune_core.testing import TrainerConformance

STEPS = {"model": "tiny", "dtype": "float32", "device": "cpu", "batch_size": 2, "save_steps": 1, "learning_rate": 0.01}


class TestReward(TrainerConformance):
    component = "trainers/reward"
    config = {**STEPS, "lora": {"dropout": 0.1}}


class TestRewardOfAllWeights(TrainerConformance):
    component = "trainers/reward"
    config = {**STEPS, "adapter": "none", "centring": 0.01}
