from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from itune_core.api import (
    Answer,
    Ask,
    Completion,
    DataError,
    Drop,
    Failed,
    Keep,
    Request,
    conversation,
    message,
    prompt,
)
from itune_filters.evol_elimination import EvolElimination
from itune_filters.phrases.elimination import PARTICLES, STOP_WORDS, says_nothing

SEED = "Name a fruit."


def says(*answers: str) -> Callable[[Request], Answer]:
    """A model that gives these answers in turn."""
    left = iter(answers)
    return lambda _: Answer([Completion(next(left), "stop", 50, 1)])


@pytest.fixture
def verdict(judge_with: Any, make_chat: Any) -> Any:
    """Of one evolved conversation, whose parent is `SEED` with an answer."""

    def verdict(question: str, answer: str, seed: tuple[str, str] = (SEED, "A quince."), **given: Any) -> Any:
        record = make_chat(question, answer, parents=["seed"]).replace(id="child")
        [found] = judge_with(
            EvolElimination, [record], others={"parents": [make_chat(*seed).replace(id="seed")]}, **given
        )
        return found

    return verdict


GOOD = "Name a fruit that ripens in autumn, and say where it grows."


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("A medlar, in the south of Germany.", ""),
        ("I'm Sorry, I do not know.", "sorry"),
        ("word " * 79 + "sorry", ""),
        ("word " * 78 + "sorry", "sorry"),
        ("죄송합니다. 잘 모르겠습니다.", "sorry"),
        ("미안하지만 모르겠어요.", "sorry"),
        ("申し訳ありませんが、わかりません。", "sorry"),
        ("すみません、わかりません。", "sorry"),
        ("抱歉，我不知道。", "sorry"),
        ("對不起，我不知道。", "sorry"),
        ("抱歉" + "果" * 158, ""),  # 160 characters are 80 words
        ("抱歉" + "果" * 156, "sorry"),
        ("...", "only-stop-words"),
        ("It is of the, and so on.", "only-stop-words"),
        ("That\u2019s it!", ""),
        ("이것은 그 것입니다", ""),
        ("그리고 또 이 것.", "only-stop-words"),
        ("そして、それは。", "only-stop-words"),
        ("それは柿です。", ""),
        ("而且的了。", ""),
        ("但是，这个和那个。", "only-stop-words"),
        ("No.", ""),
        ("はい。", ""),
        ("네.", ""),
        ("不。", ""),
        ("42", ""),
        ("A", ""),  # of a question with options
        ("(a).", ""),
        ("I.", ""),
        ("A I", "only-stop-words"),
        ("나", "only-stop-words"),
    ],
)
def test_rules_about_the_answer(verdict: Any, answer: str, reason: str) -> None:
    found = verdict(GOOD, answer)
    assert (found.reason if isinstance(found, Drop) else "") == reason


@pytest.mark.parametrize(
    ("question", "word"),
    [
        ("#Rewritten Prompt#: Name two fruits.", "rewritten prompt"),
        ("Here is the Given  Prompt with a twist.", "given prompt"),
        ("주어진 프롬프트를 더 어렵게 만든 질문", "주어진 프롬프트"),
        ("書き換えられたプロンプト：果物を二つ挙げる", "書き換えられたプロンプト"),
        ("改写后的提示：说出两种水果", "改写后的提示"),
    ],
)
def test_words_of_the_prompt_are_not_to_be_copied(verdict: Any, question: str, word: str) -> None:
    assert verdict(question, "A fig and a date.") == Drop("copied-prompt-words", f"it says {word!r}")
    assert verdict(question, "A fig and a date.", seed=(f"On {question}", "Yes.")) == Keep()


def test_more_words_of_the_recipe(verdict: Any) -> None:
    question = "My Harder Version: name two fruits."
    assert verdict(question, "A fig and a date.") == Keep()
    assert verdict(question, "A fig and a date.", copied=["harder version"]).detail == "it says 'harder version'"
    with pytest.raises(ValidationError):
        EvolElimination.Config(copied=[" "])


def test_the_detail_names_rule_and_value(verdict: Any) -> None:
    assert verdict(GOOD, "Sorry, no.") == Drop("sorry", "the answer says 'sorry' in 2 words, fewer than 80")
    assert verdict(GOOD, "?!") == Drop("only-stop-words", "the answer is '?!'")


@pytest.mark.parametrize(
    "seed",
    [("How do I say sorry in Korean?", "미안해요"), ("Apologise.", "I am sorry."), ("사과문을 써 줘.", "죄송합니다.")],
)
def test_a_parent_that_says_sorry_itself_is_exempt(verdict: Any, seed: tuple[str, str]) -> None:
    assert verdict("Apologise for being late, in one line.", "I am sorry for being late.", seed=seed) == Keep()


def test_the_judge_is_asked_about_both_instructions(verdict: Any) -> None:
    asked: list[Ask] = []

    def reply(request: Request) -> Answer:
        assert isinstance(request, Ask)
        asked.append(request)
        return Answer([Completion("Equal", "stop", 50, 1)])

    found = verdict(GOOD, "A medlar.", judge="teacher", reply=reply)
    assert found == Drop("no-information-gain", "teacher calls it equal to seed")
    [request] = asked
    assert (request.model, request.temperature, request.max_tokens) == ("teacher", 0, 8)
    text = request.messages[-1]["content"]
    assert text.index(SEED) < text.index(GOOD)
    assert "quince" not in text


@pytest.mark.parametrize(
    ("answer", "equal"),
    [
        *(("equal", True), ("Equal.", True), ('"EQUAL"', True), ("**equal** in all respects", True)),
        *(("different", False), ("Different: it asks for a place", False), ("not equal", False), ("Unequal", False)),
        *(("<think>Hm.</think>equal", True), ("<think>equal</think>\n\nDifferent", False)),
        *(("equal or different", None), ('"equal"/"different"', None), ("different or equal?", None)),
        *(("", None), ("Equality is", None), ("They are equal", None), ("I cannot say", None)),
    ],
)
def test_what_the_judge_says(verdict: Any, answer: str, equal: bool | None) -> None:
    found = verdict(GOOD, "A medlar.", judge="teacher", reply=says(answer))
    if equal is None:
        assert isinstance(found, Failed)
        assert found.code == "E-FILTER-021"
    else:
        assert isinstance(found, Drop if equal else Keep)


def test_a_judge_that_does_not_answer_fails_the_record(verdict: Any) -> None:
    assert verdict(GOOD, "A medlar.", judge="teacher", reply=lambda _: Failed("E-TEST", "gone")) == Failed(
        "E-TEST", "gone"
    )


def test_a_judge_that_thinks_first_gets_room_for_it(verdict: Any) -> None:
    def reply(request: Request) -> Answer:
        assert isinstance(request, Ask)
        return Answer([Completion("<think>One asks for a place.</think>different"[: request.max_tokens], "stop", 9, 9)])

    assert verdict(GOOD, "A medlar.", judge="teacher", reply=reply).code == "E-MODEL-020"
    assert verdict(GOOD, "A medlar.", judge="teacher", reply=reply, verdict_tokens=512) == Keep()


def test_cheap_rules_come_first(verdict: Any) -> None:
    assert verdict(GOOD, "Sorry.", judge="teacher", reply=says()).reason == "sorry"


def test_later_rounds_find_their_parents_among_the_records(judge_with: Any, make_chat: Any) -> None:
    seeds = [make_chat(SEED, "A quince.").replace(id="seed")]
    first = make_chat(GOOD, "A medlar.", parents=["seed"]).replace(id="first")
    second = make_chat(f"{GOOD} Give its name in Latin.", "Mespilus.", parents=["first"]).replace(id="second")
    asked: list[str] = []

    def reply(request: Request) -> Answer:
        asked.append(request.messages[-1]["content"])
        return Answer([Completion("equal" if "Latin" in asked[-1] else "different", "stop", 50, 1)])

    verdicts = judge_with(EvolElimination, [second, first], others={"parents": seeds}, judge="m", reply=reply)
    assert verdicts == [Drop("no-information-gain", "m calls it equal to first"), Keep()]
    assert GOOD in asked[0]


def test_a_parent_that_is_needed_and_not_there_is_a_failure(judge_with: Any, make_chat: Any) -> None:
    fine = make_chat(GOOD, "A medlar.", parents=["seed"]).replace(id="1")
    sorry = make_chat(GOOD, "Sorry.", parents=["seed"]).replace(id="2")
    verdicts = judge_with(EvolElimination, [fine, sorry])
    assert verdicts[0] == Keep()  # no rule needed it
    assert verdicts[1] == Failed("E-FILTER-020", "the parent seed is not among the rows")
    [found] = judge_with(EvolElimination, [fine], judge="m", reply=says())
    assert found.code == "E-FILTER-020"


def test_a_record_without_parents_was_not_evolved(judge_with: Any, make_chat: Any) -> None:
    rows = [make_chat(GOOD, answer).replace(id=answer) for answer in ("A medlar.", "Sorry.")]
    verdicts = judge_with(EvolElimination, rows, judge="m", reply=says())
    assert verdicts[0] == Keep()
    assert verdicts[1].reason == "sorry"
    asked = make_chat("Write a story about the given prompt: an old oak.", "Long ago ...").replace(id="1")
    assert judge_with(EvolElimination, [asked]) == [Keep()]


def test_a_call_of_a_tool_is_an_answer(judge_with: Any) -> None:
    call = message("assistant", "", tool_calls='[{"name": "search"}]')
    assert judge_with(EvolElimination, [conversation([message("user", GOOD), call], id="1")]) == [Keep()]


def test_a_parent_may_be_blank(judge_with: Any) -> None:
    blank = prompt([message("user", "")], id="seed")
    row = prompt([message("user", "The given prompt, harder.")], id="child", parents=["seed"])
    [found] = judge_with(EvolElimination, [row], others={"parents": [blank]})
    assert found.reason == "copied-prompt-words"


def test_prompts_are_judged_before_they_are_answered(judge_with: Any, make_chat: Any) -> None:
    rows = [
        prompt([message("user", asked)], id=asked, parents=["seed"])
        for asked in (GOOD, "The rewritten prompt is this.")
    ]
    verdicts = judge_with(EvolElimination, rows, others={"parents": [make_chat(SEED).replace(id="seed")]})
    assert verdicts == [Keep(), Drop("copied-prompt-words", "it says 'rewritten prompt'")]


def test_a_prompt_of_ones_own(verdict: Any, tmp_path: Path) -> None:
    own = tmp_path / "own.jinja"
    own.write_text("A: {{ parent }}\nB: {{ evolved }}\nequal or different?", "utf-8")
    asked: list[str] = []

    def reply(request: Request) -> Answer:
        asked.append(request.messages[-1]["content"])
        return Answer([Completion("different", "stop", 50, 1)])

    hostile = "{{ ''.__class__ }} {% for x in range(9) %}"  # what a record holds is text, never a template
    assert verdict(hostile, "A medlar.", judge="m", prompt=str(own), reply=reply) == Keep()
    assert asked == [f"A: {SEED}\nB: {hostile}\nequal or different?"]


@pytest.mark.parametrize(
    "source",
    [
        "{{ parent",
        "{{ child }}",
        "{% include 'x' %}{{ parent.foo }}{{ answer }}",
        None,
        b"\xff\xfe",
        "{{ parent.__class__ }}",
        "{{ parent() }}",
    ],
)
def test_a_prompt_that_cannot_be_used_stops_the_step(verdict: Any, tmp_path: Path, source: Any) -> None:
    own = tmp_path / "own.jinja"
    if source is not None:
        own.write_bytes(source if isinstance(source, bytes) else source.encode())
    with pytest.raises(DataError, match="a prompt cannot be used") as caught:
        verdict(GOOD, "A medlar.", judge="m", prompt=str(own), reply=says())
    assert caught.value.code == "E-DATA-035"


@pytest.mark.parametrize(
    "source",
    [
        "{{ parent.format(evolved) * 9999 }}",
        "{{ 'a' * 99999999 }}",
        "  ",
    ],
)
def test_a_prompt_that_cannot_be_rendered_fails_its_record(verdict: Any, tmp_path: Path, source: str) -> None:
    own = tmp_path / "own.jinja"
    own.write_text(source, "utf-8")
    found = verdict(GOOD, "A medlar.", judge="m", prompt=str(own), reply=says())
    assert isinstance(found, Failed)
    assert found.code.startswith("E-DATA-03")


@given(st.lists(st.sampled_from(sorted(PARTICLES)), max_size=30))
def test_particles_end_to_end_say_nothing_and_any_other_character_says_something(words: list[str]) -> None:
    run = "".join(words)
    assert says_nothing(f"{run}。")
    assert not says_nothing(f"{run}柿{run}")


@given(st.lists(st.sampled_from(sorted(STOP_WORDS)), max_size=30))
def test_stop_words_say_nothing_only_as_whole_words(words: list[str]) -> None:
    assert says_nothing(" ".join(words).upper()) == (words not in (["a"], ["i"]))
    assert not says_nothing("x".join([*words, "x"]))


def test_a_long_run_is_read_in_linear_time() -> None:
    began = time.process_time()
    assert says_nothing("これそれ" * 50_000)
    assert not says_nothing("これそれ" * 50_000 + "柿")
    assert time.process_time() - began < 10
