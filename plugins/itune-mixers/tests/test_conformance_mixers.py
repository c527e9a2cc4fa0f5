"""Every mixer here keeps to the contract that all mixers keep to."""

from __future__ import annotations

from itune_core.testing import MixerConformance


class TestProportional(MixerConformance):
    component = "mixers/proportional"
    config = {"cap": 3, "size": 7, "epochs": 2}
    order = "free"
