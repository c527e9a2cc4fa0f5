"""Generators that have a model answer, align, ask or revise keep to the contract that all generators keep to."""

from __future__ import annotations

from itune_core.api import Answer, Ask, Completion, Request
from itune_core.testing import GeneratorConformance

THOUGHT = "Thought: I am an honest and careful assistant. I should follow rule 3 (helpful).\n\nReply: "


def said(text: str) -> Answer:
    return Answer([Completion(text, "stop", 1, 1)])


def shown(request: Request) -> str:
    assert isinstance(request, Ask)
    return str(request.messages[-1]["content"])


class TestDistillFromSeveral(GeneratorConformance):
    component = "generators/distill"
    config = {"model": [{"model": "tiny"}, {"model": "other", "share": 2}], "thought": "rationale"}

    def reply(self, request: Request) -> Answer:
        """Tea has no result."""
        assert isinstance(request, Ask)
        return said("I think." if "Tee" in shown(request) else f"As {request.model} I think.\nAnswer: yes")


class TestSelfAlign(GeneratorConformance):
    component = "generators/self-align"
    config = {"model": "tiny"}

    def reply(self, request: Request) -> Answer:
        """Long questions are too much."""
        text = shown(request)
        return said(THOUGHT + "Yes." if len(text) % 3 else "I would rather not say.")


class TestBackTranslate(GeneratorConformance):
    component = "generators/back-translate"
    config = {"model": "tiny", "language": "ko"}

    def reply(self, request: Request) -> Answer:
        return said(f"Instruction: write {len(shown(request)) % 7} lines")


class TestConstitutional(GeneratorConformance):
    component = "generators/constitutional"
    config = {"model": "tiny", "rounds": 2}

    def reply(self, request: Request) -> Answer:
        text = shown(request)
        return said("It could be kinder." if "Criticise" in text else f"Answer {len(text)}.")


class TestConstitutionalPairs(TestConstitutional):
    config = {"model": "tiny", "gives": "preference", "language": "ja"}
