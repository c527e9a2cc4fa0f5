"""What Self-Instruct reads out of a model's answers: lists of tasks, verdicts, instances; and which instances go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_generators.bootstrapping.instances import MARKS, Instance, input_first, output_first, sound
from itune_generators.bootstrapping.listing import is_classification, tasks_in


@pytest.mark.parametrize(
    ("text", "tasks"),
    [
        ("9. Name a river.\n10. Name a sea.", ["Name a river.", "Name a sea."]),
        ("Sure, here are some:\n\n9) name a river\n10 . Name a sea", ["Name a river", "Name a sea"]),
        ("**9.** **Rivers**: name one.\n## 10. Name a sea.", ["Rivers: name one.", "Name a sea."]),
        (
            "9. Name a river\n   that flows north.\n10.\n11. Name a sea.",
            ["Name a river that flows north.", "Name a sea."],
        ),
        ("9. Name a river.\n\nLet me know if you want more!", ["Name a river."]),
        ("9. Convert 3.5 miles.\n10. Is 1.5 more than 1.4?", ["Convert 3.5 miles.", "Is 1.5 more than 1.4?"]),
        (
            "9、川の名前を一つ挙げてください。\n10．海の名前を挙げてください。",
            ["川の名前を一つ挙げてください。", "海の名前を挙げてください。"],
        ),
        (
            "9. Round the number:\n3.14159\n10. When does a train leave that is due at\n10:30 and late?",
            ["Round the number: 3.14159", "When does a train leave that is due at 10:30 and late?"],
        ),
        ("9. 9. Name a river.\n10. 3.5 miles in feet?", ["Name a river.", "3.5 miles in feet?"]),
        ("9. 강 이름을 하나 말하세요.", ["강 이름을 하나 말하세요."]),
        ("I would rather talk about rivers.", []),
        ("", []),
    ],
)
def test_a_numbered_list_becomes_tasks(text: str, tasks: list[str]) -> None:
    assert tasks_in(text) == tasks


@given(st.text(alphabet="19.) \n*#aé川", max_size=60))
def test_tasks_are_never_blank_and_stand_on_one_line(text: str) -> None:
    for task in tasks_in(text):
        assert task.strip() == task != ""
        assert "\n" not in task


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        *((" Yes", True), ("yes, it is", True), ("YES.", True), ("**No**", False), ("no", False)),
        *(("예", True), ("네, 분류입니다", True), ("아니요", False), ("はい。", True), ("いいえ", False)),
        *(
            ("예입니다.", True),
            ("아니오입니다", False),
            ("네 맞습니다", True),
            ("はいです。", True),
            ("「いいえ」", False),
        ),
        *(("예를 들어 이 과제는", None), ("예시 1", None), ("네이버", None), ("はいくつ", None)),
        *(
            ("Yes or No", None),
            ("Yes/No", None),
            ("Yes. No doubt", True),
            ("예 또는 아니요", None),
            ("「はい」か「いいえ」", None),
        ),
        *(("Yesterday", None), ("Maybe", None), ("", None), ("North", None), ("It is: yes", None)),
    ],
)
def test_a_verdict_is_yes_no_or_none(text: str, verdict: bool | None) -> None:
    assert is_classification(text) is verdict


@pytest.mark.parametrize(
    ("language", "text", "instances"),
    [
        (
            "en",
            "Here.\nExample 1\nInput: Rhine\nOutput: a river\nExample 2:\nInput:\nBaltic\n\nNorth\nOutput:\ntwo\nseas",
            [("Rhine", "a river"), ("Baltic\n\nNorth", "two\nseas")],
        ),
        ("en", "Example 1\nOutput: Ten.\nExample 2\n", [("", "Ten.")]),
        ("en", "Example 1\nTen, and no mark.", [("", "Ten, and no mark.")]),
        ("en", "Sure, here is one:\nInput: Rhine\nOutput: a river", [("Rhine", "a river")]),
        ("en", "Example 1\nThe Rhine\nOutput: a river", [("The Rhine", "a river")]),
        ("en", "Input: Rhine\nOutput: a river\nInput: Baltic\nOutput: a sea", [("Rhine", "a river")]),
        ("en", "**Example 1**\n**Input:** Rhine\n**Output:** a river", [("Rhine", "a river")]),
        ("en", "A river is a stream. For Example 3 of them.", []),
        ("ko", "예시 1\n입력: 한강\n출력: 강\n예시 2\n입력: 동해\n출력: 바다", [("한강", "강"), ("동해", "바다")]),
        ("ja", "例 1\n入力：利根川\n出力：川\n例2\n出力: 海", [("利根川", "川"), ("", "海")]),
    ],
)
def test_inputs_come_before_outputs(language: str, text: str, instances: list[tuple[str, str]]) -> None:
    assert input_first(text, MARKS[language]) == instances  # type: ignore[index]


@pytest.mark.parametrize(
    ("language", "text", "instances"),
    [
        (
            "en",
            "Class label: river\nInput: Rhine\nClass label: sea\nBaltic\nNorth",
            [("Rhine", "river"), ("Baltic\nNorth", "sea")],
        ),
        ("en", "Sure.\nClass label: yes\nClass label: no", [("", "yes"), ("", "no")]),
        ("en", "Class label:\nInput: Rhine\nClass label:\nsea\nInput: Baltic", [("Rhine", ""), ("Baltic", "sea")]),
        ("en", "Label: river", []),
        ("ko", "라벨: 강\n입력: 한강\n라벨: 바다\n동해", [("한강", "강"), ("동해", "바다")]),
        ("ja", "ラベル: 川\n入力: 利根川", [("利根川", "川")]),
    ],
)
def test_outputs_come_before_inputs(language: str, text: str, instances: list[tuple[str, str]]) -> None:
    assert output_first(text, MARKS[language]) == instances  # type: ignore[index]


def test_every_instance_is_kept_or_rejected_for_a_reason() -> None:
    kept, rejected = sound(
        [
            Instance("Rhine", "river"),
            Instance("Rhine", "river"),
            Instance("Elbe", "Elbe"),
            Instance("Oder", ""),
            Instance("", ""),
            Instance("Name it:", "river"),
            Instance("Po", "It is："),
            Instance("", "one"),
            Instance("", "another"),
        ]
    )
    assert kept == [("Rhine", "river"), ("", "one"), ("", "another")], "without an input nothing is contradicted"
    assert [item.reason for item in rejected] == [
        *("repeats-input", "empty-output", "empty-output", "ends-with-colon", "ends-with-colon", "duplicate")
    ]


def test_one_input_with_two_answers_takes_all_instances_along() -> None:
    kept, rejected = sound([Instance("Rhine", "river"), Instance("Po", "river"), Instance("Rhine", "sea")])
    assert kept == []
    assert [item.reason for item in rejected] == ["contradiction"] * 3


INSTANCES = st.lists(st.builds(Instance, st.sampled_from(["", "a", "b", "c:"]), st.sampled_from(["", "x", "y", "a"])))


@given(INSTANCES)
def test_the_books_of_instances_balance(instances: list[Instance]) -> None:
    kept, rejected = sound(instances)
    assert len(kept) + len(rejected) == len(instances)
    assert len(set(kept)) == len(kept)
    answered = dict(item for item in kept if item.input)
    assert all(answered[given] == output for given, output in kept if given)
