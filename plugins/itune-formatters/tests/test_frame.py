"""The layout of an instance's parts: golden questions for each setting, and what holds for all of them."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from itune_core.api import conversation
from itune_formatters.building.frame import Frame, JapaneseFrame, KoreanFrame
from itune_formatters.building.instance import Demonstration, Instance
from itune_formatters.building.labels import LABELS

PLAIN = Instance("Double it.", "42", "21", rationale="21 + 21 is 42.")
SHARED = (Demonstration("2", "4", rationale="2 + 2."), Demonstration("3", "9", rationale="It is 6.", wrong=True))
OWN = (Demonstration("5", "15", "Triple it."), Demonstration("", "Ash.", "Name a tree."))


def turns(frame: dict[str, Any], instance: Instance) -> list[tuple[str, str]]:
    return [(turn["role"], turn["content"]) for turn in Frame(**frame).turns(instance)]


@pytest.mark.parametrize(
    ("frame", "asked"),
    [
        ({}, "Double it.\n\n21"),
        ({"input": "before"}, "21\n\nDouble it."),
        ({"style": "headed"}, "### Instruction:\nDouble it.\n\n### Input:\n21\n\n### Response:"),
        ({"style": "headed", "input": "before"}, "### Input:\n21\n\n### Instruction:\nDouble it.\n\n### Response:"),
        ({"style": "headed", "language": "ko"}, "### 질문:\nDouble it.\n\n### 입력:\n21\n\n### 답변:"),
        ({"style": "headed", "language": "ja"}, "### 指示:\nDouble it.\n\n### 入力:\n21\n\n### 回答:"),
        ({"style": "headed", "language": "zh"}, "### 指令:\nDouble it.\n\n### 输入:\n21\n\n### 回答:"),
    ],
)
def test_a_question_without_demonstrations(frame: dict[str, Any], asked: str) -> None:
    assert turns(frame, PLAIN) == [("user", asked), ("assistant", "42")]


@pytest.mark.parametrize("position", ["after", "before"])
def test_a_question_without_input(position: str) -> None:
    alone = Instance("Say 42.", "42")
    assert turns({"input": position}, alone)[0] == ("user", "Say 42.")
    headed = ("user", "### Instruction:\nSay 42.\n\n### Response:")
    assert turns({"input": position, "style": "headed"}, alone)[0] == headed


@pytest.mark.parametrize(
    ("frame", "answer"),
    [
        ({}, "42"),
        ({"rationale": "before"}, "21 + 21 is 42.\n\nSo the answer is: 42"),
        ({"rationale": "after"}, "42\n\nExplanation: 21 + 21 is 42."),
        ({"rationale": "before", "language": "ko"}, "21 + 21 is 42.\n\n따라서 답은 다음과 같습니다: 42"),
        ({"rationale": "before", "language": "ja"}, "21 + 21 is 42.\n\nしたがって、答えは次のとおりです：42"),
        ({"rationale": "after", "language": "zh"}, "42\n\n解释：21 + 21 is 42."),
    ],
)
def test_the_rationale_of_an_answer(frame: dict[str, Any], answer: str) -> None:
    assert turns(frame, PLAIN)[-1] == ("assistant", answer)
    assert turns(frame, Instance("Double it.", "42", "21"))[-1] == ("assistant", "42")


def test_a_system_turn_comes_first() -> None:
    found = turns({"demonstrations": "turns"}, Instance("a", "b", system="Be brief.", demonstrations=SHARED))
    assert found[0] == ("system", "Be brief.")
    assert [role for role, _ in found] == ["system", "user", "assistant", "user", "assistant"]


def test_demonstrations_of_one_task_as_text() -> None:
    instance = Instance("Double it.", "42", "21", demonstrations=SHARED)
    assert turns({}, instance)[0][1] == (
        "Double it.\n\n"
        "Example 1:\nInput: 2\nResponse: 4\nExplanation: 2 + 2.\n\n"
        "Example of a wrong response 1:\nInput: 3\nResponse: 9\nExplanation: It is 6.\n\n"
        "Input: 21\nResponse:"
    )
    assert turns({"language": "ja", "rationale": "before"}, instance)[0][1] == (
        "Double it.\n\n"
        "例 1：\n入力：2\n回答：2 + 2.\n\nしたがって、答えは次のとおりです：4\n\n"
        "誤った回答の例 1：\n入力：3\n回答：It is 6.\n\nしたがって、答えは次のとおりです：9\n\n"
        "入力：21\n回答："
    )
    assert turns({"style": "headed"}, instance)[0][1] == (
        "### Instruction:\nDouble it.\n\n"
        "### Example 1:\nInput: 2\nResponse: 4\nExplanation: 2 + 2.\n\n"
        "### Example of a wrong response 1:\nInput: 3\nResponse: 9\nExplanation: It is 6.\n\n"
        "### Input:\n21\n\n### Response:"
    )


def test_demonstrations_of_other_tasks_as_text() -> None:
    """Each names its task, and so does the question: it is one of several."""
    instance = Instance("Double it.", "42", "21", demonstrations=OWN)
    assert turns({}, instance)[0][1] == (
        "Example 1:\nInstruction: Triple it.\nInput: 5\nResponse: 15\n\n"
        "Example 2:\nInstruction: Name a tree.\nResponse: Ash.\n\n"
        "Instruction: Double it.\nInput: 21\nResponse:"
    )
    assert turns({"language": "ko", "input": "before"}, instance)[0][1] == (
        "예시 1:\n입력: 5\n질문: Triple it.\n답변: 15\n\n"
        "예시 2:\n질문: Name a tree.\n답변: Ash.\n\n"
        "입력: 21\n질문: Double it.\n답변:"
    )
    assert turns({"style": "headed"}, instance)[0][1] == (
        "### Example 1:\nInstruction: Triple it.\nInput: 5\nResponse: 15\n\n"
        "### Example 2:\nInstruction: Name a tree.\nResponse: Ash.\n\n"
        "### Instruction:\nDouble it.\n\n### Input:\n21\n\n### Response:"
    )


def test_a_demonstration_among_those_of_other_tasks_is_given_the_instance_s_task() -> None:
    instance = Instance("Double it.", "42", "21", demonstrations=(OWN[0], Demonstration("2", "4")))
    assert "Example 2:\nInstruction: Double it.\nInput: 2\nResponse: 4" in turns({}, instance)[0][1]
    asked = [content for role, content in turns({"demonstrations": "turns"}, instance) if role == "user"]
    assert asked == ["Triple it.\n\n5", "Double it.\n\n2", "Double it.\n\n21"]


def test_demonstrations_as_turns() -> None:
    """The shared task is said once; the wrong example stays text, and is told once."""
    instance = Instance("Double it.", "42", "21", demonstrations=(*SHARED, Demonstration("4", "8")))
    wrong = "Example of a wrong response 1:\nInput: 3\nResponse: 9\nExplanation: It is 6."
    assert turns({"demonstrations": "turns"}, instance) == [
        ("user", f"Double it.\n\n{wrong}\n\nInput: 2\nResponse:"),
        ("assistant", "4\n\nExplanation: 2 + 2."),
        ("user", "4"),
        ("assistant", "8"),
        ("user", "21"),
        ("assistant", "42"),
    ]


def test_a_shared_task_without_input_is_said_in_each_turn() -> None:
    instance = Instance("Toss a coin.", "Tails.", demonstrations=(Demonstration("", "Heads."), Demonstration("", "H.")))
    asked = [content for role, content in turns({"demonstrations": "turns"}, instance) if role == "user"]
    assert asked == ["Toss a coin."] * 3
    assert turns({}, instance)[0][1] == (
        "Toss a coin.\n\nExample 1:\nResponse: Heads.\n\nExample 2:\nResponse: H.\n\nResponse:"
    )


def test_a_frame_in_another_language_keeps_it_where_other_settings_are_given() -> None:
    assert (KoreanFrame(style="headed").language, JapaneseFrame(input="before").language) == ("ko", "ja")
    assert KoreanFrame(language="en").language == "en"
    with pytest.raises(ValidationError):
        Frame(language="xx")  # type: ignore[arg-type]


PART = st.from_regex(r"\A[a-z가-힣あ-ん]{1,8}( [a-z]{1,5})?\Z")
OPTIONAL = st.just("") | PART
DEMONSTRATIONS = st.lists(st.builds(Demonstration, OPTIONAL, PART, OPTIONAL, OPTIONAL, st.booleans()), max_size=4)
INSTANCES = st.builds(
    Instance, PART, PART, OPTIONAL, system=OPTIONAL, rationale=OPTIONAL, demonstrations=DEMONSTRATIONS
)
FRAMES = [
    Frame(style=style, language=language, input=position, rationale=rationale, demonstrations=shown)
    for style, language, position, rationale, shown in product(
        ("plain", "headed"), LABELS, ("after", "before"), ("apart", "before", "after"), ("text", "turns")
    )
]


def test_every_combination_is_tried() -> None:
    assert len(FRAMES) == 2 * 4 * 2 * 3 * 2


@given(st.sampled_from(FRAMES), INSTANCES)
def test_no_part_is_lost_and_only_the_answer_is_trained_on(frame: Frame, instance: Instance) -> None:
    found = frame.turns(instance)
    text = "\n".join(turn["content"] for turn in found)
    parts = [instance.instruction, instance.input, instance.system]
    for item in instance.demonstrations:
        parts += [item.input, item.output, item.instruction, item.rationale]
    assert [part for part in parts if part not in text] == []

    answer = found[-1]
    assert answer["role"] == "assistant"
    assert instance.output in answer["content"]
    assert (instance.rationale in answer["content"]) or frame.rationale == "apart"
    assert [turn for turn in found[:-1] if turn["role"] == "assistant" and turn.get("train") is not False] == []
    assert answer.get("train") is None

    roles = [turn["role"] for turn in found]
    dialogue = roles[1:] if instance.system else roles
    assert dialogue == ["user", "assistant"] * (len(dialogue) // 2)
    assert all(turn["content"].strip() for turn in found)
    right = sum(not item.wrong for item in instance.demonstrations)
    assert len(dialogue) // 2 == 1 + (right if frame.demonstrations == "turns" else 0)
    conversation(found)  # every frame makes what a record may hold


@given(st.sampled_from(FRAMES), INSTANCES)
def test_demonstrations_come_before_the_input_that_is_asked_about(frame: Frame, instance: Instance) -> None:
    asked = frame.turns(instance)[-2]["content"]
    labels = LABELS[frame.language]
    if instance.input and labels.example + " 1" in asked:
        assert asked.rindex(labels.example) < asked.rindex(instance.input)
