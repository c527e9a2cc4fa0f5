"""Scorers that ask a model keep to the contract that all scorers keep to."""

from __future__ import annotations

import json

from itune_core.api import Answer, Ask, Completion, Reply, Request
from itune_core.testing import ScorerConformance


class TestIfd(ScorerConformance):
    component = "scorers/ifd"
    config = {"model": "tiny"}


class TestNaturalness(ScorerConformance):
    component = "scorers/naturalness"
    config = {"model": "tiny"}


class TestUnderstandability(ScorerConformance):
    component = "scorers/understandability"
    config = {"model": "tiny"}


class TestCoherence(ScorerConformance):
    component = "scorers/coherence"
    config = {"model": "tiny"}


class TestComplexity(ScorerConformance):
    component = "scorers/complexity"
    config = {"model": "tiny"}


class TestQuality(ScorerConformance):
    component = "scorers/quality"
    config = {"model": "tiny"}


class TestEvolScore(ScorerConformance):
    component = "scorers/evol-score"
    config = {"complexity": {"model": "tiny"}, "quality": {"model": "tiny"}}


class TestLlmRating(ScorerConformance):
    component = "scorers/llm-rating"
    config = {"model": "tiny"}

    def reply(self, request: Request) -> Reply:
        """As a model that likes short questions rates; of the longest it writes an essay instead."""
        assert isinstance(request, Ask)
        length = len(request.messages[0]["content"])
        return said("I would rather not say." if length > 900 else f"{5 - length % 11 / 2}\nIt is to the point.")


class TestTags(ScorerConformance):
    component = "scorers/tags"
    config = {"model": "tiny"}
    scope = "whole"

    def reply(self, request: Request) -> Reply:
        """The longer words of the question as its tags."""
        assert isinstance(request, Ask)
        talk = request.messages[0]["content"].partition("<conversation>")[2].partition("</conversation>")[0]
        return said(json.dumps([word for word in talk.split() if len(word) > 4]))


def said(text: str) -> Answer:
    return Answer([Completion(text, "stop", 1, 1)])
