"""Ratings that a model writes: what is asked, what is read, and what is not."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import (
    Answer,
    Ask,
    Backend,
    Completion,
    Failed,
    Kind,
    Reply,
    Request,
    RowError,
    example,
    features,
)
from itune_core.engine.asking import Question
from itune_core.engine.journal import Journal
from itune_core.engine.opened import Served
from itune_core.engine.serving import Serving
from itune_core.testing import BenchContext
from itune_scorers.llm_rating import LlmRating, rating


def score(folder: Path, reply: Callable[[Request], Reply | Failed], **settings: Any) -> Any:
    rows = datasets.Dataset.from_list(
        [{**example(Kind.CONVERSATION), "id": "r0"}], features=features(Kind.CONVERSATION)
    )
    component = LlmRating(LlmRating.Config(model="m", **settings))
    [found] = component.itune_score(inputs={"records": rows}, context=BenchContext(folder, reply=reply))
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4", 4),
        ("4.5", 4.5),
        (" 0 \n", 0),
        ("\n\n5.0\nIt is right.", 5),
        ("3/5", 3),
        ("3.5 / 5.0", 3.5),
        ("Score: 4.", 4),
        ("４", 4),
        ("rating : 2/5\n\nThe second half is wrong: 1 of 2.", 2),
    ],
)
def test_what_is_a_rating(text: str, expected: float) -> None:
    assert rating(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "5.5",
        "6",
        "-1",
        "4/10",
        "50",
        "four",
        "I give it a 4",
        "4 stars",
        "4 or 5",
        "4-5",
        "**4**",
        "It is right.\n4",
        "1e0",
        "4..",
        "nan",
        "4\u20445",
    ],
)
def test_what_is_none_fails(text: str) -> None:
    with pytest.raises(RowError, match="E-SCORE-026"):
        rating(text)


@given(st.text())
def test_nothing_else_than_a_rating_comes_of_any_text(text: str) -> None:
    with contextlib.suppress(RowError):
        assert 0 <= rating(text) <= 5


def test_a_line_that_may_have_been_cut_is_none() -> None:
    with pytest.raises(RowError, match="E-SCORE-026"):
        rating("4", whole=False)  # the start of 4.5, or of 4 out of 10
    assert rating("4\nbecause", whole=False) == 4


def test_what_is_asked(tmp_path: Path) -> None:
    asked: list[Ask] = []

    def reply(request: Request) -> Reply:
        assert isinstance(request, Ask)
        asked.append(request)
        return Answer([Completion("4.5\n", "stop", 1, 1)])

    assert score(tmp_path, reply, dimension="helpfulness", max_tokens=9) == {"": 4.5}
    [request] = asked
    assert (request.model, request.n, request.temperature, request.max_tokens) == ("m", 1, 0, 9)
    [turn] = request.messages
    assert "helpfulness" in turn["content"]
    for said in example(Kind.CONVERSATION)["messages"]:
        assert said["content"] in turn["content"]


def test_a_thought_is_not_read(tmp_path: Path) -> None:
    assert score(tmp_path, lambda _: Answer([Completion("<think>\n2? No.\n</think>\n\n4", "stop", 1, 9)])) == {"": 4.0}
    cut = score(tmp_path, lambda _: Answer([Completion("<think>\n2", "length", 1, 9)]))
    assert isinstance(cut, Failed)
    assert cut.code == "E-MODEL-020"


def test_a_wrong_answer_fails_its_record(tmp_path: Path) -> None:
    found = score(tmp_path, lambda _: Answer([Completion("Good!", "stop", 1, 1)]))
    assert isinstance(found, Failed)
    assert found.code == "E-SCORE-026"
    assert "'Good!'" in found.message
    cut = score(tmp_path, lambda _: Answer([Completion("4", "length", 1, 1)]))
    assert isinstance(cut, Failed)
    assert "max_tokens" in cut.message


class Wordy(Backend):
    """Answers in words."""

    asked = 0

    def open(self, source: object) -> None:
        """It has no weights."""

    def generate(self, requests: Sequence[tuple[Ask, Sequence[int]]]) -> Iterable[Answer]:
        for _ in requests:
            self.asked += 1
            yield Answer([Completion("Four of five.", "stop", 1, 1)])


def test_a_better_parser_reads_an_old_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    judge = Wordy(None)

    def reply(request: Request) -> Reply | Failed:
        serving = Serving(lambda _: Served(judge, None, "judge"), journal, lambda *_: 0)
        [(_, found)] = serving.exchange([Question("r0", 0, request)])
        return found

    first = score(tmp_path, reply)
    assert isinstance(first, Failed)
    assert first.code == "E-SCORE-026"
    monkeypatch.setattr("itune_scorers.llm_rating.rating", lambda text, whole: {"Four": 4.0}[text.split()[0]])
    assert score(tmp_path, reply) == {"": 4.0}
    assert judge.asked == 1
    journal.close()
