"""Every evaluator here keeps to the contract that all evaluators keep to."""

from __future__ import annotations

from itune_core.testing import EvaluatorConformance


class TestInferenceLoss(EvaluatorConformance):
    component = "evaluators/inference-loss"
    config = {"models": ["tiny", "the same again"]}


class TestPattern(EvaluatorConformance):
    component = "evaluators/pattern"
    config = {"models": ["tiny"], "pattern": "[aeiou]", "max_tokens": 6}


class TestPreference(EvaluatorConformance):
    component = "evaluators/preference"
    config = {"models": ["tiny"], "reference": "the same again"}
