"""Answers are in the journal before they are read: a better reader reads old ones, and asks nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest
from pydantic import BaseModel

from itune_core.api import (
    Answer,
    Ask,
    Backend,
    Completion,
    Created,
    Failed,
    Finished,
    Kind,
    derive_seed,
    features,
    message,
    preference,
)
from itune_core.engine.asking import drive
from itune_core.engine.journal import Journal
from itune_core.engine.opened import Served
from itune_core.engine.serving import Serving
from itune_core.testing import BenchContext
from itune_generators.ai_feedback_noisy import AiFeedbackNoisy
from itune_generators.asking.json_answers import UnreadableError

COUNT = 500

STYLES = (
    '{"reason": "It says more.", "better": 1}',
    "Gladly!\n```json\n{'reason': 'It says more.', 'better': 2,}\n```",
    'I would say {"reason": "It calls itself "good"", "better": 1}.',
    "The first one.",
    '{"reason": "It says mo',
)
"""How the annotator answers; an old reader knows the first alone, today's the first three."""


class Annotator(Backend):
    """Answers each record in one of the styles, and counts what it is asked."""

    asked = 0

    def open(self, source: object) -> None:
        """It has no weights."""

    def generate(self, requests: Sequence[tuple[Ask, Sequence[int]]]) -> Iterable[Answer]:
        for request, _ in requests:
            self.asked += 1
            number = int(request.messages[0]["content"].split("Question ")[1].split("?")[0])
            yield Answer([Completion(STYLES[number % len(STYLES)], "stop", 1, 1)])


class JournaledBench(BenchContext):
    """A bench that answers as a run does: from the journal what it knows."""

    def __init__(self, folder: Path, serving: Serving) -> None:
        super().__init__(folder, seed=3)
        self.serving = serving

    def converse(self, dialogues: Iterable[tuple[str, Any]], total: int | None = None) -> Iterator[Finished]:
        return drive(dialogues, self.serving.exchange)


def run(folder: Path, annotator: Annotator) -> list[Created | Failed]:
    """Of one run: a serving of its own, and the project's journal."""
    rows = datasets.Dataset.from_list(
        [
            {
                **preference(
                    [message("user", f"Question {number}?")], [message("assistant", "A")], [message("assistant", "B")]
                ),
                "id": f"r{number}",
            }
            for number in range(COUNT)
        ],
        features=features(Kind.PREFERENCE),
    )
    journal = Journal(folder / "journal.sqlite")
    serving = Serving(lambda _: Served(annotator, None, "annotator"), journal, lambda *place: derive_seed(0, *place))
    component = AiFeedbackNoisy(AiFeedbackNoisy.Config(annotators=[{"model": "annotator"}]))
    made = list(component.itune_generate(inputs={"records": rows}, context=JournaledBench(folder, serving)))
    serving.close()
    journal.close()
    assert [key for key, _ in made] == [f"r{number}" for number in range(COUNT)]
    return [item for _, item in made]


def old_reader(text: str, model: type[BaseModel], *, whole: bool = True) -> BaseModel:
    """Reads bare JSON."""
    try:
        return model.model_validate(json.loads(text), strict=True)
    except ValueError as error:
        raise UnreadableError(str(error)) from error


def test_a_better_reader_reads_500_old_answers_without_one_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Annotator(None)
    with monkeypatch.context() as patched:
        patched.setattr("itune_generators.asking.structured.read", old_reader)
        before = run(tmp_path, first)
    assert sum(isinstance(item, Created) for item in before) == COUNT // 5
    assert first.asked == COUNT + COUNT * 4 // 5  # those that it could not read were asked for once more

    second = Annotator(None)
    after = run(tmp_path, second)
    assert second.asked == 0
    for number, (old, new) in enumerate(zip(before, after, strict=True)):
        assert isinstance(new, Created) == (number % 5 < 3)
        if isinstance(old, Created):
            assert old == new
        if isinstance(new, Failed):
            assert new.code == "E-GEN-040"

    third = Annotator(None)
    assert run(tmp_path, third) == after
    assert third.asked == 0
