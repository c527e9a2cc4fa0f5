"""Instruction back-translation: the instruction that a text answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import (
    Answer,
    Ask,
    Completion,
    Created,
    Drop,
    Record,
    Request,
    conversation,
    features,
    message,
    text,
)
from itune_core.testing import BenchContext
from itune_generators.back_translate import BackTranslate
from itune_generators.reading.instructions import instruction
from itune_generators.reading.quoting import LONG, quotes

TEXT = "Soak the beans overnight, then simmer them for an hour.\n"


def translate(written: str, folder: Path, row: Record | None = None, finish: str = "stop", **settings: Any) -> Any:
    """What becomes of one row, and what the model was asked."""
    asked: list[Ask] = []

    def reply(request: Request) -> Answer:
        assert isinstance(request, Ask)
        asked.append(request)
        return Answer([Completion(written, finish, 90, 9)])

    record = row or text(TEXT, source="kitchen", license="CC0")
    rows = datasets.Dataset.from_list([{**record, "id": "r0"}], features=features(record.kind))
    component = BackTranslate(BackTranslate.Config(**{"model": "backward", **settings}))
    context = BenchContext(folder, reply=reply)
    [(key, made)] = component.itune_generate(inputs={"records": rows}, context=context)
    assert key == "r0"
    return made, asked


def said(made: Any) -> Sequence[tuple[str, str]]:
    assert isinstance(made, Created)
    return [(turn["role"], turn["content"]) for turn in made.record["messages"]]


def test_a_text_becomes_the_answer_to_the_instruction_found_for_it(tmp_path: Path) -> None:
    made, [asked] = translate('Instruction: "Tell me how to cook dried beans."', tmp_path)
    assert said(made) == [("user", "Tell me how to cook dried beans."), ("assistant", TEXT)]
    assert made.parents == ["r0"]
    assert (made.record["source"], made.record["license"]) == ("kitchen", "CC0")
    assert json.loads(made.record["meta"]) == {"model": "backward"}
    assert (asked.model, asked.max_tokens, asked.temperature) == ("backward", 256, 0.0)
    assert f"<text>\n{TEXT}\n</text>" in asked.messages[0]["content"]


def test_of_a_conversation_the_last_answer_is_the_text(tmp_path: Path) -> None:
    talk = conversation(
        [message("user", "Hm?"), message("assistant", "Yes?"), message("user", "Beans."), message("assistant", TEXT)],
        references=["Fry them."],
    )
    made, [asked] = translate("Explain beans.", tmp_path, talk)
    assert said(made) == [("user", "Explain beans."), ("assistant", TEXT)]
    assert made.record["references"] == []  # they answered another question
    assert "Hm?" not in asked.messages[0]["content"]


def test_the_system_turn_is_written_and_not_shown(tmp_path: Path) -> None:
    made, [asked] = translate("Explain beans.", tmp_path, system="Answer from what the web knows.")
    assert said(made)[0] == ("system", "Answer from what the web knows.")
    assert "the web knows" not in str(asked.messages)


@pytest.mark.parametrize(
    ("written", "finish", "reason"),
    [
        (" \n", "stop", "empty-instruction"),
        ("Instruction:", "stop", "empty-instruction"),
        ("Explain how one", "length", "unfinished"),
        (f"Write: '{TEXT.upper()}'", "stop", "quotes-text"),
    ],
)
def test_what_is_dropped(tmp_path: Path, written: str, finish: str, reason: str) -> None:
    made, _ = translate(written, tmp_path, finish=finish)
    assert isinstance(made, Drop)
    assert made.reason == reason


def test_an_answer_that_only_calls_a_tool_is_no_text(tmp_path: Path) -> None:
    call = message("assistant", "", tool_calls='[{"name": "search"}]')
    made, asked = translate("Search.", tmp_path, conversation([message("user", "Beans?"), call]))
    assert made == Drop("no-text", "the answer only calls a tool")
    assert asked == []


@pytest.mark.parametrize("language", ["en", "ko", "ja"])
def test_a_row_arrives_byte_for_byte_both_ways(tmp_path: Path, language: str) -> None:
    hostile = "{{ text }} {% raw %} {# no #} \t\x07 {0} %s <b>&amp;</b> 콩 豆 \u2028 end"
    made, [asked] = translate("Write about beans.", tmp_path, text(hostile), language=language)
    assert f"<text>\n{hostile}\n</text>" in asked.messages[0]["content"]
    assert said(made)[-1][1] == hostile


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("Explain beans.", "Explain beans."),
        ("  **Instruction:** Explain beans.\n", "Explain beans."),
        ("The instruction: “Explain beans.”", "Explain beans."),
        ("### Prompt: 'Explain beans.'", "Explain beans."),
        ("지시: 콩을 설명해 줘.", "콩을 설명해 줘."),
        ("지시문: 콩을 설명해 줘.", "콩을 설명해 줘."),
        ("指示：「豆について説明して。」", "豆について説明して。"),
        ('"Beans", "peas": which are "these"', '"Beans", "peas": which are "these"'),
        ("Instructions for a game: write them.", "Instructions for a game: write them."),
        ('"', '"'),
        ('""', ""),
    ],
)  # fmt: skip
def test_the_instruction_in_what_was_written(written: str, found: str) -> None:
    assert instruction(written) == found


@given(st.text(alphabet=st.characters(categories=["L", "N"]), min_size=1))
def test_a_bare_instruction_stays_as_it_is(words: str) -> None:
    assert instruction(words) == words


@given(st.text(), st.text(), st.text())
def test_only_a_long_text_is_quoted(before: str, shown: str, after: str) -> None:
    length = len(" ".join(shown.split()).casefold())
    assert quotes(f"{before} {shown} {after}", shown) == (length > LONG)
