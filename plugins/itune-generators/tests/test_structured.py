"""Structured answers: what is asked, what is asked once more, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from itune_core.api import Answer, Ask, Completion, Failed, Message, Reply, Request, message
from itune_core.testing import BenchContext
from itune_generators.asking.complaints import complaint
from itune_generators.asking.prompting import Language
from itune_generators.asking.structured import structured
from itune_generators.asking.together import together

GOOD = '{"city": "Ulsan", "people": 1100000}'


class Place(BaseModel):
    model_config = ConfigDict(extra="forbid")

    city: str
    people: int


ASK = Ask("m", [message("user", "Name a city.")], max_tokens=40, temperature=0.5)


def scripted(*answers: str | Completion, asked: list[Ask] | None = None) -> Callable[[Request], Reply]:
    """Says these things, one after the other."""
    left = iter(answers)

    def reply(request: Request) -> Reply:
        assert isinstance(request, Ask)
        if asked is not None:
            asked.append(request)
        said = next(left)
        return Answer([said if isinstance(said, Completion) else Completion(said, "stop", 9, 9)])

    return reply


def run(folder: Path, dialogue: Generator[Any, Any, Any], reply: Callable[[Request], Reply | Failed]) -> Any:
    [finished] = BenchContext(folder, reply=reply).converse([("r0", dialogue)])
    return finished.result


def test_a_good_answer_is_asked_for_once_and_with_its_schema(tmp_path: Path) -> None:
    asked: list[Ask] = []
    assert run(tmp_path, structured(ASK, Place), scripted(GOOD, asked=asked)) == Place(city="Ulsan", people=1100000)
    assert asked == [replace(ASK, schema=Place.model_json_schema())]


def test_a_schema_of_ones_own_stays(tmp_path: Path) -> None:
    asked: list[Ask] = []
    run(tmp_path, structured(replace(ASK, schema={"type": "object"}), Place), scripted(GOOD, asked=asked))
    assert asked[0].schema == {"type": "object"}


def test_a_bad_answer_is_shown_with_what_is_wrong_with_it(tmp_path: Path) -> None:
    asked: list[Ask] = []
    bad = '{"city": "Ulsan", "people": "many"}'
    assert run(tmp_path, structured(ASK, Place), scripted(bad, GOOD, asked=asked)).people == 1100000
    first, second = asked
    assert (second.max_tokens, second.temperature, second.schema) == (40, 0.5, first.schema)
    assert [turn["role"] for turn in second.messages] == ["user", "assistant", "user"]
    question, answer, complaint = [turn["content"] for turn in second.messages]
    assert (question, answer) == ("Name a city.", bad)
    assert "people: Input should be a valid integer" in complaint
    assert json.dumps(first.schema) in complaint


def test_the_second_bad_answer_fails_with_its_beginning(tmp_path: Path) -> None:
    bad = "Well, that depends. " * 20
    failed = run(tmp_path, structured(ASK, Place), scripted("No.", bad))
    assert isinstance(failed, Failed)
    assert failed.code == "E-GEN-040"
    assert repr(bad[:200]) in failed.message
    assert "no JSON object" in failed.message


def test_a_cut_answer_is_not_mended(tmp_path: Path) -> None:
    mendable = "{'city': 'Ulsan', 'people': 1100000}"
    assert run(tmp_path, structured(ASK, Place), scripted(mendable)) == Place(city="Ulsan", people=1100000)
    asked: list[Ask] = []
    cut = Completion(mendable, "length", 9, 40)
    assert run(tmp_path, structured(ASK, Place), scripted(cut, GOOD, asked=asked)) is not None
    assert "cut" in asked[1].messages[-1]["content"]
    twice = run(tmp_path, structured(ASK, Place), scripted(cut, cut))
    assert isinstance(twice, Failed)
    assert twice.code == "E-GEN-040"


@pytest.mark.parametrize(
    ("messages", "roles"),
    [
        ([message("user", "Hm?")], ["user"]),
        ([message("user", "Hm?"), message("assistant", "", tool_calls="[]"), message("tool", "4")], None),
    ],
)
def test_no_two_turns_of_the_user_follow_each_other(
    tmp_path: Path, messages: Sequence[Message], roles: list[str] | None
) -> None:
    asked: list[Ask] = []
    run(tmp_path, structured(replace(ASK, messages=messages), Place), scripted(" \n", GOOD, asked=asked))
    again = asked[1].messages
    assert [turn["role"] for turn in again] == (roles or ["user", "assistant", "tool", "user"])
    assert "no JSON object" in again[-1]["content"]
    assert again[0]["content"].startswith("Hm?")


@pytest.mark.parametrize(("language", "word"), [("en", "Answer again"), ("ko", "다시"), ("ja", "もう一度")])
def test_it_is_asked_again_in_the_language_of_the_question(tmp_path: Path, language: Language, word: str) -> None:
    asked: list[Ask] = []
    run(tmp_path, structured(ASK, Place, language=language), scripted("?", GOOD, asked=asked))
    assert word in asked[1].messages[-1]["content"]


def test_what_the_model_wrote_is_shown_byte_for_byte(tmp_path: Path) -> None:
    asked: list[Ask] = []
    bad = "{{ complaint }} {% raw %} \x1b[31m {0} \u2028 no object"
    run(tmp_path, structured(ASK, Place), scripted(bad, GOOD, asked=asked))
    assert asked[1].messages[1]["content"] == bad


def test_several_draws_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="one at a time"):
        next(structured(replace(ASK, n=2), Place))


def test_several_are_asked_together_and_fail_alone(tmp_path: Path) -> None:
    """The first is answered, the second asked again, the third cannot be asked, the fourth not read."""
    asks = [replace(ASK, messages=[message("user", name)]) for name in ("good", "again", "refused", "never")]
    waves: list[list[str]] = []

    def talk() -> Generator[Any, Any, Any]:
        side_by_side = together([structured(ask, Place) for ask in asks])
        requests = next(side_by_side)
        while True:
            waves.append([request.messages[0]["content"] for request in requests])
            replies = yield requests
            try:
                requests = side_by_side.send(replies)
            except StopIteration as stop:
                return stop.value

    def reply(request: Request) -> Reply | Failed:
        assert isinstance(request, Ask)
        name = request.messages[0]["content"]
        if name == "refused":
            return Failed("E-BACKEND-003", "too long")
        good = name == "good" or (name == "again" and len(request.messages) > 1)
        return Answer([Completion(GOOD if good else "?", "stop", 1, 1)])

    found = run(tmp_path, talk(), reply)
    assert waves == [["good", "again", "refused", "never"], ["again", "never"]]
    assert found[0] == found[1] == Place(city="Ulsan", people=1100000)
    assert [(item.code) for item in found[2:]] == ["E-BACKEND-003", "E-GEN-040"]


@pytest.mark.parametrize(
    ("text", "whole", "said"),
    [
        ("No.", True, "there is no JSON object"),
        ("} and {", True, "there is no JSON object"),
        (GOOD, False, "cut before its end"),
        ("{'city': 1}", True, "not one JSON object"),
        (f"{GOOD} {GOOD}", True, "not one JSON object"),
        ('{"city": "Ulsan"}', True, "people: Field required"),
        ('{"city": 3, "people": 2.5}', True, "city: Input should be a valid string; people: Input should be a valid"),
        ('{"city": "Ulsan", "people": 1, "sea": true}', True, "sea: Extra inputs"),
        ('{"people":' * 5000 + "}", True, "not one JSON object"),
        (GOOD, True, "not clear which part"),
    ],
)
def test_what_is_wrong_is_said_without_the_reader(text: str, whole: bool, said: str) -> None:
    assert said in complaint(text, Place, whole=whole)


def test_a_thought_is_neither_read_nor_shown_again(tmp_path: Path) -> None:
    """Drafts of the answer stand in it."""
    draft = '<think>Perhaps {"city": "Seoul", "people": 1}?</think>'
    assert run(tmp_path, structured(ASK, Place), scripted(draft + GOOD)).city == "Ulsan"
    asked: list[Ask] = []
    run(tmp_path, structured(ASK, Place), scripted(f"{draft}Ulsan, I would say.", draft + GOOD, asked=asked))
    assert [turn["content"] for turn in asked[1].messages[:2]] == ["Name a city.", "Ulsan, I would say."]


def test_of_a_thought_without_an_end_nothing_is_read(tmp_path: Path) -> None:
    endless = Completion(f"<think>{GOOD} would be one, but", "length", 9, 40)
    asked: list[Ask] = []
    assert run(tmp_path, structured(ASK, Place), scripted(endless, GOOD, asked=asked)).city == "Ulsan"
    assert [turn["role"] for turn in asked[1].messages] == ["user"]
    assert "cut before its end" in asked[1].messages[0]["content"]
    failed = run(tmp_path, structured(ASK, Place), scripted(endless, endless))
    assert isinstance(failed, Failed)
    assert failed.code == "E-MODEL-020"
