"""Yes-or-no scores and digit scores: what is asked, and what is made of the probabilities."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import (
    Choices,
    Failed,
    OptionLogProbs,
    Record,
    Reply,
    Request,
    Scorer,
    conversation,
    features,
    feedback,
    message,
    text,
)
from itune_core.testing import BenchContext
from itune_scorers.coherence import Coherence
from itune_scorers.complexity import Complexity
from itune_scorers.evol_score import EvolScore
from itune_scorers.naturalness import Naturalness
from itune_scorers.quality import Quality
from itune_scorers.understandability import Understandability

Answering = Callable[[Request], Reply | Failed]


def score(component: type[Scorer], records: Sequence[Record], folder: Path, reply: Answering, **settings: Any) -> Any:
    rows = datasets.Dataset.from_list(
        [{**record, "id": f"r{number}"} for number, record in enumerate(records)], features=features(records[0].kind)
    )
    scorer = component(component.Config(**settings))
    return list(scorer.itune_score(inputs={"records": rows}, context=BenchContext(folder, reply=reply)))


def talk(*contents: str) -> Record:
    roles = ("user", "assistant") * len(contents)
    return conversation([message(role, content) for role, content in zip(roles, contents, strict=False)])


def probabilities(*values: float) -> OptionLogProbs:
    return OptionLogProbs([math.log(value) for value in values])


@pytest.mark.parametrize("component", [Naturalness, Understandability, Coherence])
def test_yes_is_weighed_against_no(component: type[Scorer], tmp_path: Path) -> None:
    asked: list[Request] = []

    def reply(request: Request) -> Reply:
        asked.append(request)
        return probabilities(0.3, 0.1)

    found = score(component, [talk("Q1", "A1", "Q2", "A2")], tmp_path, reply, model="m", max_length=99)
    assert found == [pytest.approx({"": 0.75, "mass": 0.4})]
    [request] = asked
    assert isinstance(request, Choices)
    assert (request.model, tuple(request.options), request.max_length) == ("m", ("Yes", "No"), 99)
    [turn] = request.prompt
    assert "A2" in turn["content"]
    for earlier in ("user: Q1", "assistant: A1", "user: Q2"):
        assert (earlier in turn["content"]) == (component is Coherence)


def test_a_wording_of_ones_own_is_asked_as_it_is(tmp_path: Path) -> None:
    """As the published evaluator was trained on: field names, and the end token's text between them."""
    wording = tmp_path / "dialogue.jinja"
    wording.write_text("question: Does it fit? </s> response: {{ response }}\n")
    asked: list[str] = []

    def reply(request: Request) -> Reply:
        assert isinstance(request, Choices)
        asked.append(request.prompt[0]["content"])
        return probabilities(0.5, 0.25)

    score(Naturalness, [talk("Q", "A")], tmp_path, reply, model="m", prompt=str(wording))
    assert asked == ["question: Does it fit? </s> response: A"]


@pytest.mark.parametrize("component", [Naturalness, Coherence])
def test_other_kinds(component: type[Scorer], tmp_path: Path) -> None:
    liked = feedback([message("user", "Q")], [message("assistant", "A")], label=True)
    assert score(component, [liked], tmp_path, lambda _: probabilities(0.2, 0.6), model="m") == [
        pytest.approx({"": 0.25, "mass": 0.8})
    ]
    if component is Naturalness:
        [found] = score(component, [text("Plain.")], tmp_path, lambda _: probabilities(0.2, 0.6), model="m")
        assert found[""] == pytest.approx(0.25)


def test_what_cannot_be_judged_fails_and_nothing_is_guessed(tmp_path: Path) -> None:
    def never(_: Request) -> Reply:
        raise AssertionError("asked about a record that has nothing to ask")

    lonely = conversation([message("assistant", "A")])
    call = conversation([message("user", "Q"), message("assistant", "", tool_calls='[{"name": "look"}]')])
    assert [found.code for found in score(Coherence, [lonely, call], tmp_path, never, model="m")] == [
        "E-SCORE-020",
        "E-SCORE-023",
    ]
    for component in (Naturalness, Complexity):
        options = 2 if component is Naturalness else 6
        missing = OptionLogProbs([-1.0] * (options - 1) + [-math.inf])
        [found] = score(component, [talk("Q", "A")], tmp_path, lambda _, missing=missing: missing, model="m")
        assert isinstance(found, Failed)
        assert found.code == "E-SCORE-025"
        assert repr("No" if component is Naturalness else "6") in found.message


def test_a_digit_is_expected(tmp_path: Path) -> None:
    """Of 3 and 5, three to one, and nothing worth mentioning of the others."""
    little = 1e-12
    weighed = probabilities(little, little, 0.3, little, 0.1, little)
    [found] = score(Complexity, [talk("Q", "A")], tmp_path, lambda _: weighed, model="m")
    assert found == pytest.approx({"": 3.5, "mass": 0.4, "turns": 1})
    [found] = score(Quality, [talk("Q", "A")], tmp_path, lambda _: weighed, model="m")
    assert found == pytest.approx({"": 3.5, "mass": 0.4, "turns": 1})


@given(st.lists(st.floats(-50, -2), min_size=6, max_size=6))
def test_it_lies_between_one_and_six(tmp_path_factory: Any, values: list[float]) -> None:
    folder = tmp_path_factory.getbasetemp()
    [found] = score(Complexity, [talk("Q", "A")], folder, lambda _: OptionLogProbs(values), model="m")
    weights = [math.exp(value) for value in values]
    expected = sum(digit * weight for digit, weight in enumerate(weights, start=1)) / sum(weights)
    assert found[""] == pytest.approx(expected)
    assert 1 - 1e-9 <= found[""] <= 6 + 1e-9


def surely(digit: int) -> OptionLogProbs:
    return OptionLogProbs([-0.5 if number == digit else -800.0 for number in range(1, 7)])


RATED = {"Q1": 2, "Q2": 6}, {"A1": 5, "A2": 3}
"""How complex the questions are, and how good the answers."""


def rater(request: Request) -> Reply:
    """Rates as `RATED` says; a question that shows an answer is about that."""
    assert isinstance(request, Choices)
    assert request.model == ("good" if "<answer>" in request.prompt[0]["content"] else "hard")
    told = RATED["<answer>" in request.prompt[0]["content"]]
    [digit] = [digit for words, digit in told.items() if words in request.prompt[0]["content"]]
    return surely(digit)


def test_turns_are_rated_one_by_one(tmp_path: Path) -> None:
    records = [talk("Q1", "A1", "Q2", "A2"), talk("Q2", "A2")]
    complexity = score(Complexity, records, tmp_path, rater, model="hard")
    quality = score(Quality, records, tmp_path, rater, model="good")
    assert [found[""] for found in complexity] == pytest.approx([4, 6])
    assert [found[""] for found in quality] == pytest.approx([4, 3])
    assert [found["turns"] for found in quality] == [2, 1]


def test_the_evol_score_is_the_sum_of_products(tmp_path: Path) -> None:
    settings = {"complexity": {"model": "hard"}, "quality": {"model": "good"}}
    records = [talk("Q1", "A1", "Q2", "A2"), talk("Q2", "A2")]
    # 2 x 5 + 6 x 3, which the means 4 and 4 do not tell.
    assert score(EvolScore, records, tmp_path, rater, **settings) == [
        pytest.approx({"": 28.0, "complexity": 4.0, "quality": 4.0, "turns": 2}),
        pytest.approx({"": 18.0, "complexity": 6.0, "quality": 3.0, "turns": 1}),
    ]


def test_the_evol_score_asks_what_its_two_parts_ask(tmp_path: Path) -> None:
    asked: list[Request] = []

    def reply(request: Request) -> Reply:
        asked.append(request)
        return rater(request)

    record = talk("Q1", "A1", "Q2", "A2")
    score(Complexity, [record], tmp_path, reply, model="hard")
    score(Quality, [record], tmp_path, reply, model="good")
    apart, asked[:] = list(asked), []
    score(EvolScore, [record], tmp_path, reply, complexity={"model": "hard"}, quality={"model": "good"})
    assert sorted(map(repr, apart)) == sorted(map(repr, asked))
