"""The backend keeps to the contract that all backends keep to."""

from __future__ import annotations

from itune_core.testing import BackendConformance


class TestTransformers(BackendConformance):
    component = "backends/transformers"
    config = {"dtype": "float32", "device": "cpu"}


class TestTransformersWithARewardModel(BackendConformance):
    component = "backends/transformers"
    config = {"dtype": "float32", "device": "cpu"}
    abilities = ("rewards",)
