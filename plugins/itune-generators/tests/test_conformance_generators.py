"""Every generator here keeps to the contract that all generators keep to."""

from __future__ import annotations

from itune_core.testing import GeneratorConformance


class TestDistill(GeneratorConformance):
    component = "generators/distill"
    config = {"model": "tiny", "n": 2, "temperature": 1.0, "max_tokens": 6, "unfinished": "keep"}
