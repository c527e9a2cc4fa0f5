"""Critique and revision by principles drawn at random, walked through with a scripted model."""

from __future__ import annotations

import json
from collections.abc import Callable
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
    DataError,
    Drop,
    Failed,
    Kind,
    Record,
    Reply,
    Request,
    conversation,
    derive_rng,
    example,
    features,
    message,
    prompt,
)
from itune_core.testing import BenchContext
from itune_generators.asking.line_sets import line_set
from itune_generators.constitutional import Constitutional

QUESTION = "How do I get my neighbour to stop playing the drums?"
ASKED = prompt([message("system", "Be brief."), message("user", QUESTION)], task="advice")


class Script:
    """A model that writes these texts in turn; it remembers what it was asked."""

    def __init__(self, *texts: str | tuple[str, str] | Failed) -> None:
        self.left, self.asked = list(texts), []

    def __call__(self, request: Request) -> Reply | Failed:
        assert isinstance(request, Ask)
        self.asked.append(request)
        said = self.left.pop(0)
        if isinstance(said, Failed):
            return said
        text, finish = (said, "stop") if isinstance(said, str) else said
        return Answer([Completion(text, finish, 50, 5)])

    @property
    def shown(self) -> list[str]:
        return [request.messages[-1]["content"] for request in self.asked]


def revise(script: Callable[[Request], Reply | Failed], folder: Path, row: Record = ASKED, **settings: Any) -> Any:
    rows = datasets.Dataset.from_list([{**row, "id": "r0"}], features=features(row.kind))
    component = Constitutional(Constitutional.Config(**{"model": "self", "rounds": 2, **settings}))
    context = BenchContext(folder, reply=script)
    [(key, made)] = component.itune_generate(inputs={"records": rows}, context=context)
    assert key == "r0"
    return made


@pytest.fixture
def principles(tmp_path: Path) -> str:
    """Two of them, so that two rounds use both."""
    path = tmp_path / "principles.txt"
    path.write_text("# mine\nBe lawful.\nBe kind.\n", "utf-8")
    return str(path)


TEXTS = (" Cut the cables. ", "That is a crime.", "Call him a fool.", "That is rude.", "Ask him for quiet hours.\n")


def test_a_walk_through_two_rounds(tmp_path: Path, principles: str) -> None:
    script = Script(*TEXTS)
    made = revise(script, tmp_path, principles=principles)
    assert isinstance(made, Created)
    assert made.record.kind is Kind.CONVERSATION
    assert made.parents == ["r0"]
    assert [turn["content"] for turn in made.record["messages"]] == [
        "Be brief.",
        QUESTION,
        "Ask him for quiet hours.",
    ]
    meta = json.loads(made.record["meta"])
    first, second = (entry["principle"] for entry in meta["rounds"])
    assert {first, second} == {"Be lawful.", "Be kind."}
    assert meta == {
        "model": "self",
        "rounds": [
            {"principle": first, "critique": "That is a crime."},
            {"principle": second, "critique": "That is rude."},
        ],
    }
    assert made.record["task"] == "advice"
    answered, *turns = script.shown
    assert answered == QUESTION
    assert [turn["role"] for turn in script.asked[0].messages] == ["system", "user"]
    for turn, holds, lacks in zip(
        turns,
        [
            ("Cut the cables.", first),
            ("Cut the cables.", first, "That is a crime."),
            ("Call him a fool.", second),
            ("Call him a fool.", second, "That is rude."),
        ],
        [(second, "That is"), (second, "rude"), (first, "Cut", "crime"), (first, "Cut", "crime")],
        strict=True,
    ):
        assert f"system: Be brief.\nuser: {QUESTION}\n" in turn
        assert all(text in turn for text in holds)
        assert not any(text in turn for text in lacks)


def test_the_same_walk_gives_a_preference_and_asks_the_same(tmp_path: Path, principles: str) -> None:
    one, other = Script(*TEXTS), Script(*TEXTS)
    revise(one, tmp_path, principles=principles)
    made = revise(other, tmp_path, principles=principles, gives="preference")
    assert one.asked == other.asked
    assert isinstance(made, Created)
    assert made.record.kind is Kind.PREFERENCE
    sides = {side: [turn["content"] for turn in made.record[side]] for side in ("prompt", "chosen", "rejected")}
    assert sides == {
        "prompt": ["Be brief.", QUESTION],
        "chosen": ["Ask him for quiet hours."],
        "rejected": ["Cut the cables."],
    }
    assert made.record["probability"] is None


def test_of_a_conversation_the_last_answer_is_revised(tmp_path: Path) -> None:
    talk = conversation([message("user", QUESTION), message("assistant", "Cut the cables.")])
    script = Script("That is a crime.", "Ask him.")
    made = revise(script, tmp_path, talk, rounds=1, gives="preference")
    assert "Cut the cables." in script.shown[0]
    assert made.record["rejected"][-1]["content"] == "Cut the cables."


def test_an_answer_that_only_calls_a_tool_is_none_to_revise(tmp_path: Path) -> None:
    call = message("assistant", "", tool_calls='[{"name": "call", "arguments": "{}"}]')
    made = revise(Script(), tmp_path, conversation([message("user", QUESTION), call]))
    assert made == Drop("empty-answer", "the answer is blank")


def test_principles_are_drawn_for_each_record_and_none_twice() -> None:
    built_in = line_set("constitutional/en/principles")
    component = Constitutional(Constitutional.Config(model="m", rounds=4))
    drawn: list[list[str]] = []
    for number in range(200):
        dialogue = component.generate(example(Kind.CONVERSATION), derive_rng(0, number))
        request = next(dialogue)
        texts = []
        for turn in range(8):
            texts.append(request.messages[0]["content"])
            if turn < 7:
                request = dialogue.send(Answer([Completion(f"text {turn}", "stop", 1, 1)]))
        drawn.append([next(one for one in built_in if one in text) for text in texts[::2]])
        assert all(one in text for one, text in zip(drawn[-1], texts[1::2], strict=True))
    assert all(len(set(four)) == 4 for four in drawn)
    counts = [sum(one in four for four in drawn) for one in built_in]
    # Each is drawn with probability 4/18: 44 of 200 times, 5.9 standard deviation.
    assert all(44 - 5 * 5.9 < count < 44 + 5 * 5.9 for count in counts)
    assert len({tuple(four) for four in drawn}) > 150


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ((" \n",), "empty-answer"),
        ((("Cut the", "length"),), "unfinished"),
        (("Cut.", ""), "empty-critique"),
        (("Cut.", "A crime.", " "), "empty-revision"),
        (("Cut.", "A crime.", ("Ask him for", "length")), "unfinished"),
        (("Cut.", "Fine.", "Cut.", "Fine.", "Cut."), "unchanged"),
        (("Cut.", ("That is a crime and", "length"), "Call.", "Rude.", "Ask."), ""),
    ],
)
def test_what_is_dropped(tmp_path: Path, texts: tuple[Any, ...], reason: str) -> None:
    script = Script(*texts)
    made = revise(script, tmp_path, gives="preference")
    assert (made.reason if isinstance(made, Drop) else "") == reason
    assert script.left == []


def test_a_revision_that_repeats_the_principle_is_dropped(tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_text("The answer is kind to drummers.\n", "utf-8")
    said = "Revised: the answer is  kind to drummers. So ask him."
    made = revise(Script("Cut.", "Rude.", said), tmp_path, rounds=1, principles=str(own))
    assert made == Drop("quotes-principle", "in round 1: 'The answer is kind to drummers.'")


def test_an_unchanged_answer_is_one_to_learn_from(tmp_path: Path) -> None:
    made = revise(Script("Ask him.", "Fine.", "Ask him.", "Fine.", "Ask him."), tmp_path)
    assert made.record["messages"][-1]["content"] == "Ask him."


def test_a_request_that_cannot_be_answered_fails_the_record(tmp_path: Path) -> None:
    gone = Failed("E-TEST", "gone")
    assert revise(Script("Cut.", gone), tmp_path) == gone
    assert revise(Script("Cut.\x00"), tmp_path, rounds=1).code == "E-DATA-010"


def test_too_few_principles_stop_the_step(tmp_path: Path, principles: str) -> None:
    with pytest.raises(DataError) as caught:
        revise(Script("Cut."), tmp_path, principles=principles, rounds=3)
    assert caught.value.code == "E-GEN-030"
    with pytest.raises(ValidationError):
        Constitutional.Config(model="m", rounds=0)


@pytest.mark.parametrize("language", ["en", "ko", "ja"])
def test_rows_and_answers_arrive_byte_for_byte(tmp_path: Path, language: str) -> None:
    hostile = "{{ response }} {% for x in y %} {# no #} \t\x07 {0} %s </answer> <b>&amp;</b> 이웃 隣"
    talk = conversation([message("user", f"Q {hostile}"), message("assistant", f"A {hostile}")])
    script = Script(f"C {hostile}", f"R {hostile}")
    made = revise(script, tmp_path, talk, rounds=1, language=language)
    asked_critique, asked_revision = script.shown
    assert f"user: Q {hostile}\n" in asked_critique
    assert f"\nA {hostile}\n" in asked_critique
    assert f"\nC {hostile}\n" in asked_revision
    assert made.record["messages"][-1]["content"] == f"R {hostile}"
    [principle] = [one["principle"] for one in json.loads(made.record["meta"])["rounds"]]
    assert principle in line_set(f"constitutional/{language}/principles")


def test_questions_of_ones_own(tmp_path: Path, principles: str) -> None:
    own = tmp_path / "own.jinja"
    own.write_text("{{ prompt | length }}|{{ response }}|{{ principle }}|{{ critique }}", "utf-8")
    script = Script("Cut.", "A crime.", "Ask.")
    revise(script, tmp_path, principles=principles, rounds=1, prompts={"revise": str(own)})
    assert script.shown[2] in ("2|Cut.|Be lawful.|A crime.", "2|Cut.|Be kind.|A crime.")
    with pytest.raises(DataError, match="E-DATA-035"):  # a critique cannot show itself
        revise(Script("Cut."), tmp_path, prompts={"critique": str(own)})
