"""Every trainer here keeps to the contract that all trainers keep to."""

from __future__ import annotations

from itune_core.testing import TrainerConformance

STEPS = {"model": "tiny", "dtype": "float32", "device": "cpu", "batch_size": 2, "save_steps": 1, "learning_rate": 0.01}


class TestSFT(TrainerConformance):
    component = "trainers/sft"
    config = {**STEPS, "lora": {"dropout": 0.1}}


class TestSFTOfAllWeights(TrainerConformance):
    component = "trainers/sft"
    config = {**STEPS, "adapter": "none"}


class TestDPO(TrainerConformance):
    component = "trainers/dpo"
    config = STEPS


class TestAPOZero(TrainerConformance):
    component = "trainers/apo-zero"
    config = STEPS


class TestCDPO(TrainerConformance):
    component = "trainers/cdpo"
    config = STEPS


class TestCPO(TrainerConformance):
    component = "trainers/cpo"
    config = STEPS


class TestEXO(TrainerConformance):
    component = "trainers/exo"
    config = STEPS


class TestIPO(TrainerConformance):
    component = "trainers/ipo"
    config = STEPS


class TestORPO(TrainerConformance):
    component = "trainers/orpo"
    config = STEPS


class TestRobustDPO(TrainerConformance):
    component = "trainers/robust-dpo"
    config = STEPS


class TestRSOHinge(TrainerConformance):
    component = "trainers/rso-hinge"
    config = STEPS


class TestRSOSigmoid(TrainerConformance):
    component = "trainers/rso-sigmoid"
    config = STEPS


class TestSimPO(TrainerConformance):
    component = "trainers/simpo"
    config = STEPS


class TestSLiC(TrainerConformance):
    component = "trainers/slic"
    config = STEPS


class TestSLiCNorm(TrainerConformance):
    component = "trainers/slic-norm"
    config = STEPS


class TestSPPO(TrainerConformance):
    component = "trainers/sppo"
    config = STEPS


class TestRRHF(TrainerConformance):
    component = "trainers/rrhf"
    config = STEPS


class TestPreference(TrainerConformance):
    component = "trainers/preference"
    config = {**STEPS, "objectives": {"dpo": 1, "sft": 0.2}}
