"""What draws, judges and compares several answers keeps to the contract that all generators keep to."""

from __future__ import annotations

from itune_core.testing import GeneratorConformance


class TestCandidates(GeneratorConformance):
    component = "generators/candidates"
    config = {"policy": "tiny", "n": 3, "max_tokens": 6, "unfinished": "keep"}


class TestBestOfN(GeneratorConformance):
    component = "generators/best-of-n"
    config = {"reward": "judge"}


class TestBestOfNKeepsAll(GeneratorConformance):
    component = "generators/best-of-n"
    config = {"reward": "judge", "keep": "all"}


class TestRejectionSampling(GeneratorConformance):
    component = "generators/rejection-sampling"
    config = {"reward": "judge", "pairs": "tournament"}


class TestRejectionSamplingByScores(GeneratorConformance):
    component = "generators/rejection-sampling"
    config = {"accept": 2}


class TestPairs(GeneratorConformance):
    component = "generators/pairs"
    config = {"by": "random", "count": 2}
