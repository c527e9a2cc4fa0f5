"""Distillation with the real backend on a two-layer model: whatever it says, every prompt is accounted for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import datasets

from itune_core.api import Created, Drop, Failed, Kind, Rejected, Reply, Request, features, message, prompt
from itune_core.testing import BenchContext
from itune_generators.distill import Distill

Answering = Callable[[Request], Reply | Failed]

QUESTIONS = ["Why is the sky blue?", "Sort: 3, 1, 2.", "Write a letter.", "Give three reasons to learn to cook."]


def distil(questions: list[str], folder: Path, reply: Answering, **settings: object) -> dict[str, list[object]]:
    rows = datasets.Dataset.from_list(
        [{**prompt([message("user", asked)]), "id": asked} for asked in questions], features=features(Kind.PROMPT)
    )
    component = Distill(Distill.Config(model="tiny", **settings))
    made: dict[str, list[object]] = {}
    for key, item in component.itune_generate(inputs={"records": rows}, context=BenchContext(folder, reply=reply)):
        made.setdefault(key, []).append(item)
    return made


def said(items: list[object]) -> list[str]:
    return [item.record["messages"][-1]["content"] for item in items if isinstance(item, Created)]


def test_every_prompt_is_answered_or_says_why_not(tiny: Answering, tmp_path: Path) -> None:
    made = distil(QUESTIONS, tmp_path, tiny, n=3, temperature=1.0, max_tokens=12)
    assert list(made) == QUESTIONS
    for items in made.values():
        if isinstance(items[0], Created):
            assert all(isinstance(item, (Created, Rejected)) for item in items)
        else:
            [outcome] = items
            assert isinstance(outcome, Failed) or outcome.reason in ("unfinished", "empty-answer")


def test_draws_differ_and_are_the_same_again(tiny: Answering, tmp_path: Path) -> None:
    settings = {"n": 4, "temperature": 1.0, "max_tokens": 8, "unfinished": "keep"}
    first = {key: said(items) for key, items in distil(QUESTIONS, tmp_path, tiny, **settings).items()}
    again = {key: said(items) for key, items in distil(QUESTIONS[::-1], tmp_path, tiny, **settings).items()}
    assert first == again
    # Random bytes are not always text (a NUL character is none), so a draw may be missing; no two are the same.
    assert all(len(set(texts)) == len(texts) > 1 for texts in first.values())


def test_a_random_model_never_ends_and_its_cut_answers_are_left_out(tiny: Answering, tmp_path: Path) -> None:
    kept = distil(QUESTIONS[:1], tmp_path, tiny, max_tokens=3, unfinished="keep")
    [answer] = said(kept[QUESTIONS[0]])
    assert answer
    [outcome] = distil(QUESTIONS[:1], tmp_path, tiny, max_tokens=3)[QUESTIONS[0]]
    assert isinstance(outcome, Drop)
    assert outcome.reason == "unfinished"
