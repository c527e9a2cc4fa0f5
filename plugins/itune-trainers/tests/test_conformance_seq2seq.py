"""The trainer of encoder-decoder models keeps to the contract that all trainers keep to."""

from __future__ import annotations

from itune_core.testing import TrainerConformance

STEPS = {"model": "tiny", "dtype": "float32", "device": "cpu", "batch_size": 2, "save_steps": 1, "learning_rate": 0.01}


class TestSeq2SeqSFT(TrainerConformance):
    component = "trainers/seq2seq-sft"
    architecture = "seq2seq"
    config = {**STEPS, "lora": {"dropout": 0.1}}


class TestSeq2SeqSFTOfAllWeights(TrainerConformance):
    component = "trainers/seq2seq-sft"
    architecture = "seq2seq"
    config = {**STEPS, "adapter": "none"}
