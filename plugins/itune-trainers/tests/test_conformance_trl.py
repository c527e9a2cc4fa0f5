"""The adapter of TRL's trainers keeps to the contract that all trainers keep to."""

from __future__ import annotations

import pytest

from itune_core.testing import TrainerConformance

pytest.importorskip("trl")
STEPS = {"per_device_train_batch_size": 2, "learning_rate": 0.01}


class TestSFT(TrainerConformance):
    component = "trainers/trl"
    config = {
        "model": "tiny",
        "trainer": "sft",
        "config": STEPS,
        "lora": {"rank": 2, "dropout": 0.1},
        "save_steps": 1,
    }


class TestDPOOfAllWeights(TrainerConformance):
    component = "trainers/trl"
    config = {"model": "tiny", "trainer": "dpo", "config": STEPS, "adapter": "none", "save_steps": 1}
