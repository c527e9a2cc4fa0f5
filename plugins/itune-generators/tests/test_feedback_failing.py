"""A comparison that fails, fails its pair: what else was compared of the record stays, and the failure is counted."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
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
    OptionLogProbs,
    Rejected,
    Reply,
    Request,
    features,
    message,
    preference,
    prompt,
    ranking,
)
from itune_core.testing import BenchContext
from itune_generators.ai_feedback import AiFeedback
from itune_generators.ai_feedback_noisy import AiFeedbackNoisy

ASKED = [message("user", "Why do leaves turn red?")]
WRITERS = {"alpha says.": "small", "beta says.": "large", "gamma says.": "small"}
THREE = ranking(ASKED, [{"completion": [message("assistant", text)], "model": by} for text, by in WRITERS.items()])
TWO = ranking(ASKED, THREE["candidates"][:2])
Answering = Callable[[Request], Reply | Failed]


def outcomes(component: Generator, record: Any, folder: Path, reply: Answering) -> list[Any]:
    return over([record], component, BenchContext(folder, reply=reply))


def over(given: list[Any], component: Generator, bench: BenchContext) -> list[Any]:
    rows = [{**record, "id": f"r{number}"} for number, record in enumerate(given)]
    data = datasets.Dataset.from_list(rows, features=features(given[0].kind))
    return [item for _, item in component.itune_generate(inputs={"records": data}, context=bench)]


def text(request: Request) -> str:
    assert isinstance(request, (Ask, Choices))
    turns = request.messages if isinstance(request, Ask) else request.prompt
    return str(turns[0]["content"])


def first(request: Request, *answers: str) -> bool:
    """Whether the judge is shown these two, in this order."""
    places = [text(request).find(f"\n{answer}\n") for answer in answers]
    return min(places) >= 0 and places == sorted(places)


def ordered(request: Request) -> bool:
    """Whether the two are shown in the order of their letters."""
    places = [place for answer in WRITERS if (place := text(request).find(f"\n{answer}\n")) >= 0]
    return places == sorted(places)


def weighing(request: Request) -> Reply:
    """The answer whose first letter comes earlier is the better one, wherever it stands."""
    shown = sorted((text(request).find(f"\n{answer}\n"), answer) for answer in WRITERS)
    better = shown[-2][1] < shown[-1][1]
    return OptionLogProbs([math.log(0.8 if better else 0.1), math.log(0.1 if better else 0.8)])


def compared(made: list[Any]) -> list[tuple[str, str]]:
    created = [item.record for item in made if isinstance(item, Created)]
    return [(item["chosen"][0]["content"][0], item["rejected"][0]["content"][0]) for item in created]


def test_one_order_alone_is_no_label(tmp_path: Path) -> None:
    silent = OptionLogProbs([-1.0, -math.inf])

    def reply(request: Request) -> Reply:
        return silent if first(request, "gamma says.", "alpha says.") else weighing(request)

    made = outcomes(AiFeedback(AiFeedback.Config(judge="judge")), THREE, tmp_path, reply)
    assert compared(made) == [("a", "b"), ("b", "g")]
    assert isinstance(made[-1], Failed)
    assert made[-1].code == "E-GEN-042"
    assert "1 of 3 comparisons failed; the first, answers 0 and 2: " in made[-1].message
    [whole] = [item for item in made if isinstance(item, Failed)]
    assert whole is made[-1]


def test_a_label_by_several_principles_needs_all_of_them(tmp_path: Path) -> None:
    path = tmp_path / "principles.txt"
    path.write_text("Be correct.\nBe kind.\n")

    def reply(request: Request) -> Reply | Failed:
        lost = first(request, "alpha says.", "beta says.") and "Be kind." in text(request)
        return Failed("E-BACKEND-026", "gone") if lost else weighing(request)

    settings = AiFeedback.Config(judge="judge", principles=str(path), drawn=2)
    made = outcomes(AiFeedback(settings), THREE, tmp_path, reply)
    assert compared(made) == [("a", "g"), ("b", "g")]
    assert made[-1] == Failed("E-BACKEND-026", "1 of 3 comparisons failed; the first, answers 0 and 1: gone")


def test_reported_figures_are_means_over_all_preferences_of_a_record_and_then_over_records(tmp_path: Path) -> None:
    """The judge leans where it is shown gamma, and says least there: in two comparisons of the first record's three,
    and not in the second, of one."""

    def reply(request: Request) -> Reply:
        if "\ngamma says.\n" not in text(request):
            return OptionLogProbs([math.log(share) for share in ((0.6, 0.4) if ordered(request) else (0.4, 0.6))])
        return OptionLogProbs([math.log(share) for share in ((0.4, 0.1) if ordered(request) else (0.35, 0.15))])

    bench = BenchContext(tmp_path, reply=reply)
    made = over([THREE, TWO], AiFeedback(AiFeedback.Config(judge="judge")), bench)
    assert compared(made) == [("a", "b"), ("a", "g"), ("b", "g"), ("a", "b")]
    told = [json.loads(item.record["meta"])["ai_feedback"] for item in made]
    assert [one["position_bias"] for one in told] == pytest.approx([0, 0.25, 0.25, 0])
    assert [one["mass"] for one in told] == pytest.approx([1, 0.5, 0.5, 1])
    expected = {"position_bias": (0.5 / 3 + 0) / 2, "mass": (2 / 3 + 1) / 2}
    assert bench.reported[-1] == (2, 2, pytest.approx(expected))


def test_without_a_thought_the_number_is_not_asked_for(tmp_path: Path) -> None:
    asked: list[Request] = []

    def reply(request: Request) -> Reply:
        asked.append(request)
        if isinstance(request, Ask):
            blank = first(request, "beta says.", "gamma says.")
            return Answer([Completion(" " if blank else "Hm.", "stop", 9, 9)])
        return weighing(request)

    made = outcomes(AiFeedback(AiFeedback.Config(judge="judge", thought=True)), THREE, tmp_path, reply)
    assert compared(made) == [("a", "b"), ("a", "g")]
    assert made[-1].code == "E-GEN-032"
    assert [isinstance(request, Choices) for request in asked] == [False] * 6 + [True] * 5


def annotating(*unreadable: str) -> Answering:
    def reply(request: Request) -> Reply:
        if all(f"\n{answer}\n" in text(request) for answer in unreadable):
            return Answer([Completion("Both are fine.", "stop", 9, 9)])
        shown = sorted((text(request).find(f"\n{answer}\n"), answer) for answer in WRITERS)
        said = {"reason": "", "better": 1 if shown[-2][1] < shown[-1][1] else 2}
        return Answer([Completion(json.dumps(said), "stop", 9, 9)])

    return reply


NOISY = AiFeedbackNoisy.Config(annotators=[{"model": "judge"}], flip_rate=0)


def test_an_annotator_fails_its_pair_alone(tmp_path: Path) -> None:
    made = outcomes(AiFeedbackNoisy(NOISY), THREE, tmp_path, annotating("alpha says.", "gamma says."))
    assert compared(made) == [("a", "b"), ("b", "g")]
    assert isinstance(made[-1], Failed)
    assert made[-1].code == "E-GEN-040"
    assert made[-1].message.startswith("1 of 3 comparisons failed; the first, answers 0 and 2: ")


@pytest.mark.parametrize(
    ("kind", "settings", "name"),
    [
        (AiFeedback, {"judge": "judge"}, "compare"),
        (AiFeedback, {"judge": "judge", "thought": True}, "think"),
        (AiFeedbackNoisy, {"annotators": [{"model": "judge"}], "flip_rate": 0}, "brief"),
    ],
)
def test_a_question_that_cannot_be_rendered_fails_its_pair_alone(
    tmp_path: Path, kind: type[Generator], settings: dict[str, Any], name: str
) -> None:
    """Of gamma and alpha, whichever comes first."""
    mine = tmp_path / "mine.jinja"
    mine.write_text(
        ".{{ {false: ''}[[first, second]|sort == ['alpha says.', 'gamma says.']] }}\n{{ first }}\n\n{{ second }}\n."
    )
    noting = Answer([Completion("Hm.", "stop", 9, 9)])

    def reply(request: Request) -> Reply | Failed:
        if isinstance(request, Choices):
            return weighing(request)
        return noting if name == "think" else annotating("no such answer")(request)

    made = outcomes(kind(kind.Config(**settings, prompts={name: str(mine)})), THREE, tmp_path, reply)
    assert compared(made) == [("a", "b"), ("b", "g")]
    assert made[-1].code == "E-DATA-033"
    assert made[-1].message.startswith("1 of 3 comparisons failed; the first, answers 0 and 2: ")


def test_what_is_left_out_stays_in_the_ledger_beside_a_failure(tmp_path: Path) -> None:
    twice = ranking(ASKED, [{"completion": [message("assistant", said)]} for said in ("alpha says.",) * 2])
    more = ranking(ASKED, [*twice["candidates"], {"completion": [message("assistant", "beta says.")]}])
    for component, reply in (
        (AiFeedbackNoisy(NOISY), annotating("alpha says.")),
        (AiFeedback(AiFeedback.Config(judge="judge")), lambda _: OptionLogProbs([-math.inf, -1.0])),
    ):
        rejected, failed = outcomes(component, more, tmp_path, reply)  # type: ignore[arg-type]
        assert rejected == Rejected("same-answer", "answers 0 and 1")
        assert failed.message.startswith("2 of 2 comparisons failed; the first, answers 0 and 2: ")


@pytest.mark.parametrize(
    ("component", "reply"),
    [(AiFeedback(AiFeedback.Config(judge="judge")), weighing), (AiFeedbackNoisy(NOISY), annotating("no such answer"))],
)
def test_who_wrote_the_two_is_told(tmp_path: Path, component: Generator, reply: Answering) -> None:
    made = outcomes(component, THREE, tmp_path, reply)
    told = [json.loads(item.record["meta"])["pair"]["models"] for item in made]
    assert compared(made) == [("a", "b"), ("a", "g"), ("b", "g")]
    assert told == [["small", "large"], ["small", "small"], ["large", "small"]]
    two = [[message("assistant", said)] for said in list(WRITERS)[:2]]
    [made] = outcomes(component, preference(ASKED, *two), tmp_path, reply)
    assert "pair" not in json.loads(made.record["meta"])


def test_a_policys_answers_are_the_policys(tmp_path: Path) -> None:
    def reply(request: Request) -> Reply:
        if isinstance(request, Ask):
            return Answer([Completion(said, "stop", 9, 9) for said in list(WRITERS)[:2]])
        return weighing(request)

    [made] = outcomes(AiFeedback(AiFeedback.Config(judge="judge", policy="sft")), prompt(ASKED), tmp_path, reply)
    assert json.loads(made.record["meta"])["pair"] == {"models": ["sft", "sft"]}
