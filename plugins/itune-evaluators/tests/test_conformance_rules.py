"""The evaluators that fit rules and compare groups keep to the contract that all evaluators keep to."""

from __future__ import annotations

from itune_core.api import Request, TokenLogProbs
from itune_core.testing import EvaluatorConformance

SCORES = {"score.worth": [0.5, 2.0, 1.0, 0.25, 3.0], "score.size.words": [7, 1, 4, 4, 9, 12, 3]}


class TestRuleFit(EvaluatorConformance):
    component = "evaluators/rule-fit"
    config = {
        "mixture_models": ["tiny", "the same again", "and again"],
        "indicators": {"worth": "score.worth", "words": "score.size.words"},
    }
    columns = SCORES
    scope = "whole"
    order = "defined"  # where a row stands decides which of the kit's three mixtures it is in

    def reply(self, request: Request) -> TokenLogProbs:
        """Models that differ: of equal losses there is no rule."""
        return TokenLogProbs([-1.0 - len(request.model) / 10])


class TestPairedBootstrap(EvaluatorConformance):
    component = "evaluators/paired-bootstrap"
    config = {
        "groups": {"chosen": ["tiny", "the same again"], "random": ["another"]},
        "baseline": "random",
        "draws": 100,
    }
    scope = "whole"
