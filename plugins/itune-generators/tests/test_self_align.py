"""Self-Align: principles, a thought and a reply; what is kept of them, and why the rest is not."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import Answer, Ask, Completion, Created, Drop, Kind, Prompt, Request, features, message, prompt
from itune_core.testing import BenchContext
from itune_generators.aligning.engraving import Engraved, before_repeat, engraved
from itune_generators.aligning.marks import MARKS, Marks
from itune_generators.asking.prompting import Language
from itune_generators.self_align import SelfAlign

NAMES = (
    *("ethical", "informative", "helpful", "question assessment", "reasoning", "multi-aspect", "candor"),
    *("knowledge recitation", "static", "clarification", "numerical sensitivity", "dated knowledge", "step-by-step"),
    *("balanced and informative perspectives", "creative", "operational"),
)

QUESTION = "Why do cats purr?"
THOUGHT = "I am an honest and careful assistant. It is about animals. I should follow rules 2 (informative)."
REPLY = "They purr when they are content, and also when they are hurt: the vibration may help them to heal."


def align(text: str, folder: Path, finish: str = "stop", question: str = QUESTION, **settings: Any) -> Any:
    """What becomes of one prompt, and what the model was asked."""
    asked: list[Ask] = []

    def reply(request: Request) -> Answer:
        assert isinstance(request, Ask)
        asked.append(request)
        return Answer([Completion(text, finish, 900, 60)])

    record = {**prompt([message("system", "Be kind."), message("user", question)], task="cats"), "id": "p0"}
    rows = datasets.Dataset.from_list([record], features=features(Kind.PROMPT))
    component = SelfAlign(SelfAlign.Config(**{"model": "base", **settings}))
    [(key, made)] = component.itune_generate(inputs={"records": rows}, context=BenchContext(folder, reply=reply))
    assert key == "p0"
    return made, asked[0]


def judged(text: str, *, cut: bool = False, asked: str = QUESTION, language: Language = "en") -> Engraved | Drop:
    marks = MARKS[language]
    return engraved(text, cut=cut, asked=asked, marks=marks, leaks=marks.leaks)


def test_the_reply_is_engraved_without_principles_examples_and_thought(tmp_path: Path) -> None:
    made, asked = align(f"Thought: {THOUGHT}\n\nReply: {REPLY}", tmp_path)
    assert isinstance(made, Created)
    assert made.parents == ["p0"]
    turns = made.record["messages"]
    assert [(turn["role"], turn["content"]) for turn in turns] == [
        ("system", "Be kind."),
        ("user", QUESTION),
        ("assistant", REPLY),
    ]
    assert made.record["rationale"] == THOUGHT
    assert (made.record["task"], json.loads(made.record["meta"])) == ("cats", {"model": "base"})
    assert (asked.model, asked.temperature, asked.top_p) == ("base", 0.5, 0.95)
    [shown] = asked.messages
    assert all(f"{number} ({name}). " in shown["content"] for number, name in enumerate(NAMES, 1))
    assert shown["content"].endswith(f"system: Be kind.\n\nUser: {QUESTION}")


@pytest.mark.parametrize("language", ["en", "ko", "ja"])
def test_the_examples_of_every_prompt_pass_their_own_filters(language: Language) -> None:
    marks = MARKS[language]
    source = Prompt.read("itune_generators", f"self-align/{language}/reply", None, frozenset({"prompt"}))
    text = source.template.source
    colon = "：" if language == "ja" else ":"
    _, *examples = text.split(f"\n{marks.user}{colon}")
    assert len(examples) == 5
    for example in examples:
        question, answer = example.split(f"\n{marks.thought}{colon}")
        end = answer.rfind("\n\n", 0, answer.find("{%")) if "{%" in answer else len(answer)
        found = engraved(answer[:end], cut=False, asked=question, marks=marks, leaks=())
        assert isinstance(found, Engraved)
        # so that what leaks from it is told
        assert any(word in question + found.reply for word in marks.leaks)
    assert f"{marks.thought}{colon}{'' if language == 'ja' else ' '}{marks.opening}" in text
    rules = re.findall(r"^(\d+) ?[(（]", text, re.MULTILINE)
    assert rules == [str(number) for number in range(1, 17)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"Thought: {THOUGHT}\n\nReply: {REPLY}", ""),
        (f"{THOUGHT}\n\n**Reply:** {REPLY}", ""),
        (f"Reply: {REPLY}", "no-thought"),
        (f"Thought: I wonder.\n\nReply: {REPLY}", "no-thought"),
        (f"Thought: {THOUGHT}", "no-reply"),
        (f"Thought: {THOUGHT}\n\nReply: \n", "no-reply"),
        (f"Thought: {THOUGHT}\n\nReply: {REPLY}\n\nUser: Thank you!", "goes-on"),
        (f"Thought: {THOUGHT}\n\nReply: Why do  cats PURR? Nobody knows.", "copies-prompt"),
        (f"Thought: {THOUGHT}\n\nReply: Like a pangolin they do.", "exemplar-words"),
        (f"Thought: {THOUGHT}\n\nReply: I think. Thought: {THOUGHT}", "exemplar-words"),
        (f"Thought: {THOUGHT}\n\nReply: I'm sorry, I am a program.", "apology"),
    ],
)
def test_post_filters(text: str, reason: str) -> None:
    found = judged(text)
    assert (found.reason if isinstance(found, Drop) else "") == reason


@pytest.mark.parametrize(
    ("language", "text", "reason"),
    [
        ("ko", "생각: 나는 정직하고 신중한 비서이다. 규칙 3.\n\n답변: 기분이 좋을 때 그럽니다.", ""),
        ("ko", "생각: 나는 정직하고 신중한 비서이다.\n\n답변: 죄송하지만 모릅니다.", "apology"),
        ("ko", "생각: 나는 정직하고 신중한 비서이다.\n\n답변: 그렇습니다.\n\n사용자: 네", "goes-on"),
        ("ja", "考え：私は正直で慎重なアシスタントである。決まり3。\n\n返答：うれしいときに鳴らします。", ""),
        ("ja", "私は正直で慎重なアシスタントである。\n\n返答：申し訳ありません。", "apology"),
        ("ja", "考え：うれしい。\n\n返答：はい。", "no-thought"),
        ("ja", "私は正直で慎重なアシスタントである。\n\n返答：そうです。利用者：どうして。", "exemplar-words"),
        ("ja", "私は正直で慎重なアシスタントである。\n\n返答：そうです。考え：まだある。", "exemplar-words"),
    ],
)
def test_post_filters_of_other_languages(language: Language, text: str, reason: str) -> None:
    found = judged(text, language=language)
    assert (found.reason if isinstance(found, Drop) else "") == reason


def test_a_long_reply_is_cut_where_the_model_goes_on_as_the_user() -> None:
    long = " ".join(f"Reason number {number} is a good one." for number in range(1, 7))
    assert len(long) >= MARKS["en"].shortest
    assert judged(f"Thought: {THOUGHT}\n\nReply: {long}\n\nUser: Thanks", cut=True) == Engraved(long, THOUGHT)


def test_words_of_the_examples_are_the_users_to_use() -> None:
    text = f"Thought: {THOUGHT}\n\nReply: The pangolin is a mammal."
    assert isinstance(judged(text, asked="What eats a pangolin?"), Engraved)


def test_a_reply_that_turns_in_circles_is_cut_and_then_complete() -> None:
    text = f"Thought: {THOUGHT}\n\nReply: They do.\nThey like it.\nThey do.\nThey like it."
    assert judged(text, cut=True) == Engraved("They do.\nThey like it.", THOUGHT)
    assert judged(f"Thought: {THOUGHT}\n\nReply: They do it wh", cut=True) == Drop(
        "unfinished", "it hit max_tokens before its end"
    )


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("One. Two. One. Three.", "One. Two. One. Three."),  # the first clause has no space before it
        ("a.\nb.\nb.\nc.", "a.\nb."),
        ("1, 1, 4, 5, 1, 4", "1, 1, 4, 5, 1, 4"),
        ("はい。そうです。はい。", "はい。そうです。"),
        (" a.a.", "a."),
        ("", ""),
    ],
)
def test_before_repeat(text: str, kept: str) -> None:
    assert before_repeat(text) == kept


@given(st.text(alphabet="ab1 .,\n", max_size=60))
def test_before_repeat_gives_a_beginning_and_says_nothing_twice(text: str) -> None:
    kept = before_repeat(text)
    assert text.strip().startswith(kept)
    assert before_repeat(kept) == kept


@given(st.text(max_size=200), st.booleans())
def test_whatever_a_model_writes_is_engraved_or_dropped(text: str, cut: bool) -> None:
    for marks in MARKS.values():
        assert isinstance(_of(text, cut, marks), Drop)
        found = _of(f"{marks.opening}\n{marks.reply}: {text}", cut, marks)
        assert isinstance(found, Drop) or found.reply


def _of(text: str, cut: bool, marks: Marks) -> Engraved | Drop:
    return engraved(text, cut=cut, asked=QUESTION, marks=marks, leaks=marks.leaks)


def test_text_of_a_row_arrives_byte_for_byte(tmp_path: Path) -> None:
    hostile = "{{ prompt }} {% for x in y %} {# no #} \t\x07 {0} %s <b>&amp;</b> 고양이"
    made, asked = align(f"Thought: {THOUGHT}\n\nReply: {REPLY}", tmp_path, question=hostile)
    assert f"User: {hostile}" in asked.messages[0]["content"]
    assert made.record["messages"][1]["content"] == hostile


def test_a_prompt_of_ones_own_has_words_of_its_own(tmp_path: Path) -> None:
    own = tmp_path / "own.jinja"
    own.write_text("Rules: be kind.\n{{ prompt[-1].content }}", "utf-8")
    text = f"Thought: {THOUGHT}\n\nReply: Ask a pangolin or a badger."
    settings = {"prompts": {"reply": str(own)}}
    made, asked = align(text, tmp_path, **settings)
    assert isinstance(made, Created)
    assert asked.messages[0]["content"] == f"Rules: be kind.\n{QUESTION}"
    dropped, _ = align(text, tmp_path, **settings, leaks=["badger"])
    assert dropped == Drop("exemplar-words", "it says 'badger'")


def test_nothing_but_the_answer_enters_the_record_of_a_cut_one(tmp_path: Path) -> None:
    dropped, _ = align(f"Thought: {THOUGHT}\n\nReply: {REPLY}", tmp_path, finish="length")
    assert isinstance(dropped, Drop)
    assert dropped.reason == "unfinished"
