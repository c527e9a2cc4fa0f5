"""scorers/rule keeps to the contract that all scorers keep to."""

from __future__ import annotations

from itune_core.testing import ScorerConformance

SCORES = {
    "score.length.words": [7, 1, 4, 4, 9, 12, 3],
    "score.reward": [0.5, -2.0, 1.0, 0.25, 3.0],
    "score.knn": [0.4, 1.0],
}


class TestWrittenRule(ScorerConformance):
    component = "scorers/rule"
    config = {
        "coefficients": {"length": 0.01, "reward": -0.2},
        "intercept": 1.0,
        "columns": {"length": "score.length.words", "reward": "score.reward"},
    }
    columns = SCORES


class TestPublishedRule(ScorerConformance):
    component = "scorers/rule"
    config = {
        "builtin": "instructmining-v1",
        "columns": {"length": "score.length.words", "reward": "score.reward", "knn": "score.knn"},
    }
    columns = SCORES
