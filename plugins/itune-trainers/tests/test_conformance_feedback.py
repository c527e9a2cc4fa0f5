"""The trainers that learn from feedback keep to the contract that all trainers keep to."""

from __future__ import annotations

from itune_core.testing import TrainerConformance

STEPS = {"model": "tiny", "dtype": "float32", "device": "cpu", "batch_size": 2, "save_steps": 1, "learning_rate": 0.01}


class TestKTO(TrainerConformance):
    component = "trainers/kto"
    config = STEPS


class TestConditional(TrainerConformance):
    component = "trainers/conditional"
    config = STEPS


class TestConditionalByValue(TrainerConformance):
    component = "trainers/conditional"
    config = {**STEPS, "by": "value", "tokens": ["<|worse|>\n", "<|better|>\n"], "adapter": "none"}
