"""mixers/stratum keeps to the contract that all mixers keep to."""

from __future__ import annotations

from itune_core.testing import MixerConformance


class TestStratum(MixerConformance):
    component = "mixers/stratum"
    config = {"score": "score.worth", "strata": 3, "number": 1}
    columns = {"score.worth": [0.5, 2.0, 1.0, 0.25, 3.0]}
