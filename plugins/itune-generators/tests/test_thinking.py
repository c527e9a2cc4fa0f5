"""Thoughts of reasoning models: every generator records, reads and passes on the answer alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pytest

from itune_core.api import (
    Answer,
    Ask,
    Choices,
    Completion,
    Created,
    Failed,
    Generator,
    ModelError,
    OptionLogProbs,
    Record,
    Reply,
    Request,
    conversation,
    features,
    message,
    preference,
    prompt,
)
from itune_core.testing import BenchContext
from itune_core.testing.comparing import plain
from itune_generators.ai_feedback import AiFeedback
from itune_generators.ai_feedback_aspects import AiFeedbackAspects
from itune_generators.ai_feedback_noisy import AiFeedbackNoisy
from itune_generators.back_translate import BackTranslate
from itune_generators.candidates import Candidates
from itune_generators.constitutional import Constitutional
from itune_generators.distill import Distill
from itune_generators.evol_instruct import EvolInstruct
from itune_generators.self_align import SelfAlign
from itune_generators.self_instruct import SelfInstruct

ASKED = [message("user", "Name a prime number.")]
PAIR = preference(ASKED, [message("assistant", "Seven.")], [message("assistant", "Nine.")])
EVOLVED = "Name a prime number between ten and twenty, and say how you know."
ALIGNED = "Thought: I am an honest and careful assistant. I know this one.\n\nReply: Seven is a prime number."
LIST = "2. Describe the smell of rain to somebody who has never been outside."
RATED = json.dumps({"answers": [{"reason": "Right.", "rating": 5}, {"reason": "Wrong.", "rating": 2}]})
PREFERRED = '{"reason": "Right.", "better": 1}'
NOTES = ("The first is right.", "The second is right.")

DRAFT = "\n".join(
    ["I could write a list:", *(f"{n}. A task of it, number {n}" for n in range(1, 20)), "or, of instances:"]
    + [f"Example {n}\nOutput: A draft" for n in range(1, 8)]
    + ["Task: another one."]
)
"""What a model thinks that drafts its answer: it holds all by which the end of a list or of instances is told."""

LOOPS: dict[str, tuple[type[Generator], dict[str, Any], Record, list[str]]] = {
    "ai-feedback": (AiFeedback, {"policy": "m", "judge": "m", "thought": True}, prompt(ASKED), ["A.", "B.", *NOTES]),
    "ai-feedback-aspects": (
        AiFeedbackAspects,
        {"judge": "m", "models": [{"model": "m"}, {"model": "n"}], "aspects": ["truthfulness"], "critique": False},
        prompt(ASKED),
        ["Seven.", "Nine.", RATED],
    ),
    "ai-feedback-noisy": (AiFeedbackNoisy, {"annotators": [{"model": "m"}]}, PAIR, [PREFERRED]),
    "ai-feedback-noisy, asked twice": (AiFeedbackNoisy, {"annotators": [{"model": "m"}]}, PAIR, ["Well!", PREFERRED]),
    "back-translate": (
        BackTranslate,
        {"model": "m"},
        conversation([*ASKED, message("assistant", "Seven.")]),
        ["Name any prime."],
    ),
    "candidates": (Candidates, {"policy": "m", "n": 2}, prompt(ASKED), ["Seven.", "Eleven."]),
    "constitutional": (Constitutional, {"model": "m", "rounds": 1}, prompt(ASKED), ["Nine.", "No.", "Seven."]),
    "distill": (Distill, {"model": "m", "n": 2, "temperature": 1}, prompt(ASKED), ["Seven.", "Eleven."]),
    "evol-instruct": (
        EvolInstruct,
        {"model": "m", "judge": "m", "rounds": 1},
        prompt(ASKED),
        [EVOLVED, "different", "Eleven, by trial division."],
    ),
    "self-align": (SelfAlign, {"model": "m"}, prompt(ASKED), [ALIGNED]),
    "self-instruct": (
        SelfInstruct,
        {"model": "m", "instructions": 1, "max_requests": 1, "at_once": 1},
        prompt([message("user", "Name three rivers that flow into a sea.")]),
        [LIST, "No", "Example 1\nOutput: Earth and iron."],
    ),
}


def run(loop: str, folder: Path, wrap: Callable[[str], str], asked: list[Request], finish: str = "stop") -> list[Any]:
    """What a generator makes of one record where a model says these things, each as `wrap` has it, behind a server that
    stops at stop strings wherever they come."""
    kind, settings, record, says = LOOPS[loop]
    left = iter(says)

    def reply(request: Request) -> Reply:
        asked.append(request)
        if isinstance(request, Choices):
            return OptionLogProbs([-0.1, -3.0]) if len(asked) % 2 else OptionLogProbs([-2.0, -0.2])
        assert isinstance(request, Ask)
        texts = [wrap(next(left, "")) for _ in range(request.n)]
        for mark in request.stop:
            texts = [text.partition(mark)[0] for text in texts]
        return Answer([Completion(text, finish, 9, 9) for text in texts])

    rows = datasets.Dataset.from_list([{**record, "id": "r0"}], features=features(record.kind))
    outcomes = kind(kind.Config(**settings)).itune_generate(
        inputs={"records": rows}, context=BenchContext(folder, reply=reply)
    )
    return [item for _, item in outcomes]


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("form", [f"<think>\n{DRAFT}\n</think>\n\n{{}}", f"{DRAFT}</think>{{}}"])
def test_every_generator_uses_the_answer_alone(tmp_path: Path, loop: str, form: str) -> None:
    """The same records, and the same next questions, as of a model that answers without thinking."""
    plainly: list[Request] = []
    after_thought: list[Request] = []
    made = run(loop, tmp_path, lambda text: text, plainly)
    assert any(isinstance(item, Created) for item in made)
    found = run(loop, tmp_path, lambda text: form.replace("{}", text), after_thought)
    assert after_thought == plainly
    if loop == "distill":
        assert [item.record["rationale"] for item in found] == [DRAFT] * 2
        found = [replace(item, record=item.record.replace(rationale=None)) for item in found]
    assert plain(found) == plain(made)


@pytest.mark.parametrize("loop", LOOPS)
def test_in_every_generator_a_thought_without_an_end_is_a_failure(tmp_path: Path, loop: str) -> None:
    if loop == "self-instruct":  # of one request all failed: the step ends
        with pytest.raises(ModelError, match=r"E-GEN-020[\s\S]*E-MODEL-020"):
            run(loop, tmp_path, lambda text: f"<think>Perhaps {text}", [], "length")
        return
    outcomes = run(loop, tmp_path, lambda text: f"<think>Perhaps {text}", [], "length")
    if loop == "evol-instruct":  # as an instruction that was cut off
        assert [getattr(item, "reason", None) for item in outcomes] == ["cut-off", "no-evolution"]
        return
    assert not any(isinstance(item, Created) for item in outcomes)
    assert isinstance(outcomes[-1], Failed)
    assert outcomes[-1].code == "E-MODEL-020"
