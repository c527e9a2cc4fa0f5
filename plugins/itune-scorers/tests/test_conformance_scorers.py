"""Every scorer here keeps to the contract that all scorers keep to."""

from __future__ import annotations

from itune_core.testing import ScorerConformance


class TestLength(ScorerConformance):
    component = "scorers/length"


class TestPerplexity(ScorerConformance):
    component = "scorers/perplexity"
    config = {"model": "tiny"}


class TestReward(ScorerConformance):
    component = "scorers/reward"
    config = {"model": "judge"}
