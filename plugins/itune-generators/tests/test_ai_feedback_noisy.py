"""AlpacaFarm's simulation: who is asked, in which order, and which labels are turned over."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest
from pydantic import ValidationError

from itune_core.api import (
    Answer,
    Ask,
    Completion,
    Created,
    Failed,
    Record,
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
from itune_generators.ai_feedback_noisy import AiFeedbackNoisy

GOOD, BAD = "A long and careful answer.", "Dunno."
POOL = [
    {"model": "mild"},
    {"model": "mild", "wording": "reasoned", "temperature": 0.7},
    {"model": "harsh", "wording": "strict", "temperature": 0},
]
HOSTILE = "{{ first }} {% endif %} {0} \x1b[31m \u2028 </answer 1>"


def pair(number: int) -> Record:
    return preference(
        [message("user", f"Question {number}?")], [message("assistant", GOOD)], [message("assistant", BAD)]
    )


def annotate(
    records: Sequence[Any], folder: Path, reply: Callable[[Request], Reply | Failed], **settings: Any
) -> list[Any]:
    rows = datasets.Dataset.from_list(
        [{**record, "id": f"r{number}"} for number, record in enumerate(records)], features=features(records[0].kind)
    )
    component = AiFeedbackNoisy(AiFeedbackNoisy.Config(**{"annotators": POOL, **settings}))
    outcomes = component.itune_generate(inputs={"records": rows}, context=BenchContext(folder, reply=reply))
    return [item for _, item in outcomes]


def shown(request: Request) -> list[str]:
    assert isinstance(request, Ask)
    return re.findall(r"<answer \d>\n(.*?)\n</answer \d>", request.messages[0]["content"], re.DOTALL)


def fair(request: Request) -> Reply:
    """Prefers what is longer, wherever it stands."""
    first, second = shown(request)
    said = {"reason": "It says more.", "better": 1 if len(first) > len(second) else 2}
    return Answer([Completion(json.dumps(said), "stop", 1, 1)])


def told(item: Created) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(item.record["meta"])["ai_feedback_noisy"]
    return found


def test_a_walk_through(tmp_path: Path) -> None:
    asked: list[Ask] = []

    def reply(request: Request) -> Reply:
        assert isinstance(request, Ask)
        asked.append(request)
        if request.model == "sft":
            return Answer([Completion(GOOD, "stop", 5, 9), Completion(BAD, "stop", 5, 5)])
        return fair(request)

    [made] = annotate([prompt([message("user", "Why?")], task="t")], tmp_path, reply, policy="sft", flip_rate=0)
    draw, question = asked
    assert (draw.n, draw.temperature, draw.max_tokens) == (2, 1.0, 512)
    facts = told(made)
    annotator = POOL[facts["annotator"]]
    assert question.model == facts["model"] == annotator["model"]
    assert (question.temperature, question.max_tokens, question.n) == (annotator.get("temperature", 1.0), 256, 1)
    assert shown(question) == [(GOOD, BAD)[place] for place in facts["shown"]]
    assert (facts["reason"], facts["flipped"]) == ("It says more.", False)
    assert [made.record[side][0]["content"] for side in ("chosen", "rejected")] == [GOOD, BAD]
    assert (made.record["probability"], made.record["task"], made.parents) == (None, "t", ["r0"])


def test_a_known_share_of_the_labels_is_turned_over_and_says_so(tmp_path: Path) -> None:
    """2,000 labels at the published rate: four standard deviations are 0.039."""
    made = annotate([pair(number) for number in range(2000)], tmp_path, fair)
    flips = [told(item)["flipped"] for item in made]
    wrong = [item.record["chosen"][0]["content"] == BAD for item in made]
    assert flips == wrong
    assert sum(flips) / len(flips) == pytest.approx(0.25, abs=0.039)
    by_place = Counter(told(item)["shown"][0] for item in made)
    by_annotator = Counter(told(item)["annotator"] for item in made)
    assert by_place[0] / 2000 == pytest.approx(0.5, abs=0.045)
    assert all(by_annotator[number] / 2000 == pytest.approx(1 / 3, abs=0.043) for number in range(3))


def test_a_judge_that_sees_places_alone_is_right_half_the_time(tmp_path: Path) -> None:
    """Since the order is drawn: what it adds is noise, and no preference for the answer that came first."""
    made = annotate(
        [pair(number) for number in range(1000)],
        tmp_path,
        lambda _: Answer([Completion('{"reason": "", "better": 1}', "stop", 1, 1)]),
        flip_rate=0,
    )
    right = sum(item.record["chosen"][0]["content"] == GOOD for item in made)
    assert right / 1000 == pytest.approx(0.5, abs=0.064)


def test_another_rate_asks_the_same(tmp_path: Path) -> None:
    asked: list[list[Request]] = []
    labels = []
    for rate in (0.0, 0.1, 0.5):
        heard: list[Request] = []

        def reply(request: Request, heard: list[Request] = heard) -> Reply:
            heard.append(request)
            return fair(request)

        labels.append([told(item) for item in annotate([*map(pair, range(60))], tmp_path, reply, flip_rate=rate)])
        asked.append(heard)
    assert asked[0] == asked[1] == asked[2]
    for low, high in zip(labels[1], labels[2], strict=True):
        assert high["flipped"] or not low["flipped"]
    assert not any(one["flipped"] for one in labels[0])


def test_every_two_answers_of_a_ranking_are_compared(tmp_path: Path) -> None:
    texts = ["aa", "b", "aa ", "cccc"]
    source = ranking([message("user", "Q")], [{"completion": [message("assistant", text)]} for text in texts])
    made = annotate([source], tmp_path, fair, flip_rate=0)
    created = [item for item in made if isinstance(item, Created)]
    assert len(created) == 5
    assert made[5:] == [Rejected("same-answer", "answers 0 and 2")]


def test_what_is_no_verdict_fails(tmp_path: Path) -> None:
    for words in ("The first.", '{"reason": "", "better": 3}', '{"reason": "", "better": true}', '{"better": 1}'):
        [failed] = annotate([pair(0)], tmp_path, lambda _, words=words: Answer([Completion(words, "stop", 1, 1)]))
        assert isinstance(failed, Failed)
        assert failed.code == "E-GEN-040"


@pytest.mark.parametrize("language", ["en", "ko", "ja"])
@pytest.mark.parametrize("wording", ["brief", "reasoned", "strict"])
def test_rows_arrive_byte_for_byte(tmp_path: Path, language: str, wording: str) -> None:
    source = preference([message("user", f"Q {HOSTILE}")], [message("assistant", f"A {HOSTILE}")],
                        [message("assistant", f"B {HOSTILE}")])  # fmt: skip
    asked: list[str] = []

    def reply(request: Request) -> Reply:
        assert isinstance(request, Ask)
        asked.append(request.messages[0]["content"])
        return Answer([Completion('{"reason": "", "better": 1}', "stop", 1, 1)])

    annotate([source], tmp_path, reply, language=language, annotators=[{"model": "m", "wording": wording}])
    [text] = asked
    assert all(f"{letter} {HOSTILE}" in text for letter in "QAB")
    assert '"better": 1' in text


def test_a_rate_above_a_half_cannot_be_had() -> None:
    with pytest.raises(ValidationError):
        AiFeedbackNoisy.Config(annotators=POOL, flip_rate=0.6)
    with pytest.raises(ValidationError):
        AiFeedbackNoisy.Config(annotators=[])
