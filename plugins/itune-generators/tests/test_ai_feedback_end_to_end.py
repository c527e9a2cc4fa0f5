"""RLAIF with the real backend on a two-layer model: its policy, its judge, and the label against plain transformers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import datasets
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from itune_core.api import Answer, Choices, Created, Failed, Kind, Reply, Request, features, message, preference, prompt
from itune_core.testing import BenchContext
from itune_generators.ai_feedback import AiFeedback

Answering = Callable[[Request], Reply | Failed]

QUESTIONS = ["Why is the sky blue?", "Sort: 3, 1, 2.", "Write a letter.", "Give three reasons to learn to cook."]


def test_every_prompt_becomes_a_preference_or_says_why_not(tiny: Answering, tmp_path: Path) -> None:
    """A model with random weights does not end its answers; here they are taken as they are."""

    def ended(request: Request) -> Reply | Failed:
        reply = tiny(request)
        if isinstance(reply, Answer):
            return Answer([replace(completion, finish="stop") for completion in reply.completions])
        return reply

    rows = datasets.Dataset.from_list(
        [{**prompt([message("user", asked)]), "id": asked} for asked in QUESTIONS], features=features(Kind.PROMPT)
    )
    component = AiFeedback(AiFeedback.Config(policy="tiny", judge="tiny", max_tokens=6))
    cut = dict(component.itune_generate(inputs={"records": rows}, context=BenchContext(tmp_path, reply=tiny)))
    outcomes = dict(component.itune_generate(inputs={"records": rows}, context=BenchContext(tmp_path, reply=ended)))
    assert [*cut] == [*outcomes] == QUESTIONS
    assert all(isinstance(item, Failed) or item.reason in ("unfinished", "empty-answer") for item in cut.values())
    made = [item for item in outcomes.values() if isinstance(item, Created)]
    assert made
    for item in made:
        assert 0.5 < item.record["probability"] <= 1
        assert item.record["chosen"] != item.record["rejected"]
    for item in outcomes.values():  # random bytes are not always text
        assert isinstance(item, Created) or item.code == "E-DATA-010"


def test_the_label_is_that_of_the_models_own_probabilities(tiny: Answering, tiny_folder: Path, tmp_path: Path) -> None:
    asked: list[str] = []

    def heard(request: Request) -> Reply | Failed:
        assert isinstance(request, Choices)
        asked.append(request.prompt[0]["content"])
        return tiny(request)

    source = preference(
        [message("user", QUESTIONS[0])], [message("assistant", "Scattering.")], [message("assistant", "Who knows?")]
    )
    rows = datasets.Dataset.from_list([{**source, "id": "r0"}], features=features(Kind.PREFERENCE))
    component = AiFeedback(AiFeedback.Config(judge="tiny"))
    [(_, made)] = component.itune_generate(inputs={"records": rows}, context=BenchContext(tmp_path, reply=heard))
    assert isinstance(made, Created)

    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    model = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32).eval()
    first_named, masses = [], []
    for text in asked:
        ids = tokenizer(f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n")["input_ids"]
        with torch.no_grad():
            chances = model(torch.tensor([ids])).logits[0, -1].softmax(-1)
        one, two = (chances[tokenizer(option)["input_ids"][0]].item() for option in "12")
        first_named.append(one / (one + two))
        masses.append(one + two)
    forward, backward = first_named
    expected = (forward + 1 - backward) / 2
    facts = json.loads(made.record["meta"])["ai_feedback"]
    assert facts["looks"] == [pytest.approx([forward, backward], rel=1e-5)]
    assert facts["mass"] == pytest.approx(min(masses), rel=1e-5)
    assert made.record["probability"] == pytest.approx(max(expected, 1 - expected), rel=1e-5)
    better = "Scattering." if expected > 0.5 else "Who knows?"
    assert made.record["chosen"][0]["content"] == better
