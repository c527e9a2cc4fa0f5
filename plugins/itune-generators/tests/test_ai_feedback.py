"""RLAIF: what the judge is asked, and what label is made of what it says."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
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
    DataError,
    Drop,
    Failed,
    Kind,
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

ASKED = [message("user", "Why do leaves turn red?")]
GOOD, BAD = "The green fades, and red that was there all along shows.", "Because it is autumn."
HOSTILE = "{{ first }} {% endif %} {0} \x1b[31m \u2028 </answer 1>"


def feed_back(
    records: Sequence[Any], folder: Path, reply: Callable[[Request], Reply | Failed], **settings: Any
) -> tuple[list[tuple[str, Any]], BenchContext]:
    rows = datasets.Dataset.from_list(
        [{**record, "id": f"r{number}"} for number, record in enumerate(records)], features=features(records[0].kind)
    )
    bench = BenchContext(folder, reply=reply)
    component = AiFeedback(AiFeedback.Config(**{"judge": "judge", **settings}))
    return list(component.itune_generate(inputs={"records": rows}, context=bench)), bench


def shown(request: Request) -> tuple[str, str]:
    """The two answers, as the judge sees them."""
    assert isinstance(request, Choices)
    [turn] = request.prompt
    return tuple(re.findall(r"<answer \d>\n(.*?)\n</answer \d>", turn["content"], re.DOTALL))  # type: ignore[return-value]


def judge(better: Callable[[str], float], bias: float = 0.0) -> Callable[[Request], Reply]:
    """A judge that weighs answers by `better`, and adds `bias` to the log-odds of whatever stands first. To some
    answers neither number is the beginning: a tenth of its probability."""

    def reply(request: Request) -> Reply:
        first, second = shown(request)
        one = 1 / (1 + math.exp(better(second) - better(first) - bias))
        return OptionLogProbs([math.log(0.9 * one), math.log(0.9 * (1 - one))])

    return reply


def liking(text: str) -> float:
    return 1.0 if text == GOOD else 0.0


def told(item: Created) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(item.record["meta"])["ai_feedback"]
    return found


def test_a_walk_through(tmp_path: Path) -> None:
    """Two answers of the policy, two questions, one label: 0.5 * (0.8 + 1 - 0.4) = 0.7 for the first."""
    asked: list[Request] = []

    def reply(request: Request) -> Reply:
        asked.append(request)
        if isinstance(request, Ask):
            return Answer([Completion(GOOD, "stop", 5, 9), Completion(BAD, "stop", 5, 5)])
        values = {(GOOD, BAD): (0.4, 0.1), (BAD, GOOD): (0.2, 0.3)}[shown(request)]
        return OptionLogProbs([*map(math.log, values)])

    source = prompt(ASKED, task="why", language="en", references=["Pigments."])
    [(key, made)], bench = feed_back([source], tmp_path, reply, policy="sft", max_tokens=60, top_p=0.9, max_length=700)
    assert (key, made.parents) == ("r0", ["r0"])
    assert made.record["prompt"] == ASKED
    assert [made.record[side][0]["content"] for side in ("chosen", "rejected")] == [GOOD, BAD]
    assert made.record["probability"] == pytest.approx(0.7)
    assert (made.record["task"], made.record["language"], made.record["references"]) == ("why", "en", ["Pigments."])
    assert told(made) == {
        "judge": "judge",
        "looks": [[pytest.approx(0.8), pytest.approx(0.4)]],
        "position_bias": pytest.approx(0.1),
        "mass": pytest.approx(0.5),
        "principles": [],
    }
    draw, forward, backward = asked
    assert isinstance(draw, Ask)
    assert (draw.model, draw.n, draw.temperature, draw.top_p, draw.max_tokens) == ("sft", 2, 1.0, 0.9, 60)
    assert draw.messages == ASKED
    for request in (forward, backward):
        assert isinstance(request, Choices)
        assert (request.model, tuple(request.options), request.max_length) == ("judge", ("1", "2"), 700)
        assert ASKED[0]["content"] in request.prompt[0]["content"]
    assert (shown(forward), shown(backward)) == ((GOOD, BAD), (BAD, GOOD))
    assert bench.reported[-1][2] == pytest.approx({"position_bias": 0.1, "mass": 0.5})


@pytest.mark.parametrize("bias", [-3.0, 0.0, 3.0])
def test_a_planted_position_bias_is_removed(tmp_path: Path, bias: float) -> None:
    """Of answers one unit of log-odds apart the better one is chosen wherever it stands. One order would never do: with
    a bias of three units the judge names one place for all of them."""
    pairs = [preference(ASKED, [message("assistant", one)], [message("assistant", other)])
             for one, other in ((GOOD, BAD), (BAD, GOOD))]  # fmt: skip
    made, bench = feed_back(pairs, tmp_path, judge(liking, bias))
    expected = (1 / (1 + math.exp(-bias - 1)) + 1 - 1 / (1 + math.exp(-bias + 1))) / 2
    for _, item in made:
        assert item.record["chosen"][0]["content"] == GOOD
        assert item.record["probability"] == pytest.approx(expected)
        assert told(item)["mass"] == pytest.approx(0.9)
    firsts = [told(item)["looks"][0][0] > 0.5 for _, item in made]
    assert firsts == ([True, False] if bias == 0 else [bias > 0] * 2)
    lean = bench.reported[-1][2]["position_bias"]
    assert lean == pytest.approx(0, abs=1e-9) if bias == 0 else abs(lean) > 0.4
    assert math.copysign(1, lean) == math.copysign(1, bias) or bias == 0


def test_a_judge_with_an_eye_for_places_alone_decides_nothing(tmp_path: Path) -> None:
    pair = preference(ASKED, [message("assistant", GOOD)], [message("assistant", BAD)])
    [(_, outcome)], _ = feed_back([pair], tmp_path, lambda _: OptionLogProbs([-1e-9, -800.0]))
    assert outcome == Drop("undecided", "P(1) is 1.000 and 1.000")


def test_labels_are_averaged_over_drawn_principles(tmp_path: Path) -> None:
    """By two of three principles the good answer wins, at 0.9 and 0.7, by the third it loses at 0.2."""
    path = tmp_path / "principles.txt"
    path.write_text("Be correct.\nBe kind.\nBe short.\n")
    chances = {"Be correct.": 0.9, "Be kind.": 0.7, "Be short.": 0.2}

    def reply(request: Request) -> Reply:
        assert isinstance(request, Choices)
        [principle] = [words for words in chances if words in request.prompt[0]["content"]]
        one = chances[principle] if shown(request)[0] == GOOD else 1 - chances[principle]
        return OptionLogProbs([math.log(one), math.log(1 - one)])

    source = [
        preference([message("user", f"Why {number}?")], [message("assistant", GOOD)], [message("assistant", BAD)])
        for number in range(30)
    ]
    made, _ = feed_back(source, tmp_path, reply, principles=str(path), drawn=2)
    seen = set()
    for _, item in made:
        drawn = told(item)["principles"]
        assert len(set(drawn)) == 2
        seen.add(frozenset(drawn))
        expected = sum(chances[words] for words in drawn) / 2
        assert item.record["probability"] == pytest.approx(max(expected, 1 - expected))
    assert len(seen) == 3  # of thirty records, not all draw alike
    again, _ = feed_back(source, tmp_path, reply, principles=str(path), drawn=2)
    assert [item.record for _, item in again] == [item.record for _, item in made]
    with pytest.raises(DataError, match="E-GEN-030"):
        feed_back(source, tmp_path, reply, principles=str(path), drawn=4)


def test_every_two_answers_of_a_ranking_are_compared(tmp_path: Path) -> None:
    texts = [BAD, GOOD, f" {BAD}\n", "No idea."]
    candidates = [{"completion": [message("assistant", text)]} for text in texts]
    made, _ = feed_back([ranking(ASKED, candidates)], tmp_path, judge(lambda text: len(text) / 10))
    created = [item for _, item in made if isinstance(item, Created)]
    assert len(created) == 5
    assert all(len(item.record["chosen"][0]["content"]) >= len(item.record["rejected"][0]["content"])
               for item in created)  # fmt: skip
    assert [item for _, item in made if not isinstance(item, Created)] == [Rejected("same-answer", "answers 0 and 2")]


@pytest.mark.parametrize(
    ("draws", "reason"),
    [
        ([("Red.", "stop"), (" Red. ", "stop")], "same-answer"),
        ([("Red.", "stop"), (" \n", "stop")], "empty-answer"),
        ([("Red.", "stop"), ("Because the", "length")], "unfinished"),
    ],
)
def test_what_cannot_be_compared_is_dropped_and_no_judge_is_asked(
    tmp_path: Path, draws: list[tuple[str, str]], reason: str
) -> None:
    def reply(request: Request) -> Reply:
        assert isinstance(request, Ask)
        return Answer([Completion(text, finish, 1, 1) for text, finish in draws])

    [(_, outcome)], _ = feed_back([prompt(ASKED)], tmp_path, reply, policy="sft")
    assert isinstance(outcome, Drop)
    assert outcome.reason == reason


def test_one_answer_is_too_few(tmp_path: Path) -> None:
    alone = ranking(ASKED, [{"completion": [message("assistant", GOOD)]}])
    [(_, outcome)], _ = feed_back([alone], tmp_path, judge(liking))
    assert outcome == Drop("too-few-answers", "1")


def test_what_fails_fails_and_no_label_is_guessed(tmp_path: Path) -> None:
    pair = preference(ASKED, [message("assistant", GOOD)], [message("assistant", BAD)])
    [(_, silent)], _ = feed_back([pair], tmp_path, lambda _: OptionLogProbs([-1.0, -math.inf]))
    assert (silent.code, "'2'" in silent.message) == ("E-GEN-042", True)
    [(_, refused)], _ = feed_back([pair], tmp_path, lambda _: Failed("E-BACKEND-004", "too long"))
    assert refused.code == "E-BACKEND-004"
    calls = preference(ASKED, [message("assistant", "", tool_calls='[{"name": "look"}]')], [message("assistant", BAD)])
    several = preference(ASKED, [message("assistant", "a"), message("user", "b"), message("assistant", "c")],
                         [message("assistant", BAD)])  # fmt: skip
    made, _ = feed_back([calls, several], tmp_path, judge(liking))
    assert [item.code for _, item in made] == ["E-GEN-043"] * 2


@pytest.mark.parametrize("language", ["en", "ko", "ja"])
@pytest.mark.parametrize("principles", [None, HOSTILE.replace("\u2028", "")])
def test_rows_arrive_byte_for_byte(tmp_path: Path, language: str, principles: str | None) -> None:
    asked: list[str] = []

    def reply(request: Request) -> Reply:
        assert isinstance(request, Choices)
        asked.append(request.prompt[0]["content"])
        return OptionLogProbs([-1.0, -2.0 - len(asked)])

    pair = preference([message("user", f"Q {HOSTILE}")], [message("assistant", f"A {HOSTILE}")],
                      [message("assistant", f"B {HOSTILE}")])  # fmt: skip
    settings: dict[str, Any] = {"language": language}
    if principles is not None:
        path = tmp_path / "principles.txt"
        path.write_text(principles)
        settings["principles"] = str(path)
    feed_back([pair], tmp_path, reply, **settings)
    for text, (first, second) in zip(asked, (("A", "B"), ("B", "A")), strict=True):
        places = [text.index(f"{letter} {HOSTILE}") for letter in ("Q", first, second)]
        assert places == sorted(places)
        assert (principles or HOSTILE) in text


def test_a_question_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.jinja"
    path.write_text("{{ prompt[0].content }} 1: {{ first }} 2: {{ second }} {{ principle is none }}")
    asked: list[str] = []

    def reply(request: Request) -> Reply:
        assert isinstance(request, Choices)
        asked.append(request.prompt[0]["content"])
        return OptionLogProbs([-1.0, -2.0 - len(asked)])

    pair = preference(ASKED, [message("assistant", "x")], [message("assistant", "y")])
    feed_back([pair], tmp_path, reply, prompts={"compare": str(path)})
    assert asked == [f"{ASKED[0]['content']} 1: {one} 2: {other} True" for one, other in (("x", "y"), ("y", "x"))]


def test_it_takes_prompts_with_a_policy_and_answers_without() -> None:
    takes = [
        AiFeedback.inputs_for(AiFeedback.Config(judge="j", policy=policy))["records"].kinds for policy in ("p", None)
    ]
    assert takes == [(Kind.PROMPT,), (Kind.PREFERENCE, Kind.RANKING)]
