"""Generators of feedback keep to the contract that all generators keep to."""

from __future__ import annotations

import json
import re

from itune_core.api import Answer, Ask, Choices, Completion, OptionLogProbs, Reply, Request
from itune_core.testing import GeneratorConformance


def said(text: str) -> Answer:
    return Answer([Completion(text, "stop", 1, 1)])


class TestAiFeedbackOfDrawnAnswers(GeneratorConformance):
    component = "generators/ai-feedback"
    config = {"policy": "tiny", "judge": "tiny"}

    def reply(self, request: Request) -> Reply:
        """As models that draw two answers, and find the one with the larger number better. Of some questions they know
        one answer."""
        if isinstance(request, Ask):
            size = len(request.messages[-1]["content"])
            return Answer([Completion(f"Answer {size % 7 * draw}.", "stop", 1, 1) for draw in range(request.n)])
        assert isinstance(request, Choices)
        first, second = map(int, re.findall(r"Answer (\d+)\.", request.prompt[0]["content"])[-2:])
        return OptionLogProbs([-0.1, -2.0] if first > second else [-2.0, -0.1])


class TestAiFeedbackOfGivenAnswers(GeneratorConformance):
    """The two-layer model judges."""

    component = "generators/ai-feedback"
    config = {"judge": "tiny", "language": "ko"}


class TestAiFeedbackAspects(GeneratorConformance):
    component = "generators/ai-feedback-aspects"
    config = {"judge": "tiny", "models": [{"model": "tiny"}, {"model": "tiny", "system": "Be kind."}]}

    def reply(self, request: Request) -> Reply:
        """As a judge that counts letters, and finds two answers in whatever it is shown."""
        assert isinstance(request, Ask)
        size = len(request.messages[-1]["content"])
        if request.schema is None:
            return said(f"I have {size} letters, and a principle: {len(request.messages) > 1}.")
        if "critique" in json.dumps(request.schema):
            return said(json.dumps({"critique": "It counts.", "overall": size % 10 + 1}))
        return said(json.dumps({"answers": [{"reason": "So.", "rating": (size + place) % 5 + 1} for place in (0, 1)]}))


class TestAiFeedbackNoisy(GeneratorConformance):
    component = "generators/ai-feedback-noisy"
    config = {"annotators": [{"model": "tiny"}, {"model": "tiny", "wording": "strict"}]}

    def reply(self, request: Request) -> Reply:
        assert isinstance(request, Ask)
        size = len(request.messages[-1]["content"])
        return said(json.dumps({"reason": "So.", "better": size % 2 + 1}) if size % 5 else "Both are good.")
