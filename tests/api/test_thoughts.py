"""Thoughts of reasoning models are told apart from the answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import Completion, RowError, Thinking, spoken, thinking


@pytest.mark.parametrize(
    ("text", "thought", "answer"),
    [
        ("<think>\nTwo? No.\n</think>\n\nSeven.", "Two? No.", "Seven."),
        (" \n<think>Two? No.</think>Seven. \n", "Two? No.", "Seven. \n"),
        ("Two? No.\n</think>\n\nSeven.", "Two? No.", "Seven."),  # the template has opened it
        ("<think>\n\n</think>\n\nSeven.", "", "Seven."),
        ("<think></think>", "", ""),
        ("<think>One.</think>\n<think>Two.</think>\nThree.", "One.\n\nTwo.", "Three."),
        ("<think>One.</think>It is written <think>so</think>.", "One.", "It is written <think>so</think>."),
        ("<think>One.</think>The mark </think> ends it.", "One.", "The mark </think> ends it."),
        (" Seven.\n", "", " Seven.\n"),
        ("Between <think> and </think> stands a thought.", "", "Between <think> and </think> stands a thought."),
        ("It begins with <think>.", "", "It begins with <think>."),
        ("", "", ""),
    ],
)
def test_a_text_is_taken_apart(text: str, thought: str, answer: str) -> None:
    assert thinking(text) == Thinking(thought, answer)


@pytest.mark.parametrize("text", ["<think>", " <think>\nTwo? No.", "<think>One.</think>\n<think>Two? "])
def test_a_thought_without_an_end_is_no_answer(text: str) -> None:
    with pytest.raises(RowError, match=r"E-MODEL-020[\s\S]*max_tokens"):
        thinking(text)


def test_a_server_that_keeps_thoughts_to_itself_has_sent_nothing_when_it_is_cut() -> None:
    with pytest.raises(RowError, match=r"E-MODEL-020[\s\S]*none of its 40 tokens"):
        spoken(Completion("", "length", 9, 40))
    with pytest.raises(RowError, match=r"E-MODEL-020[\s\S]*none of its uncounted tokens"):
        spoken(Completion("", "length", 0, 0))
    for silent in (Completion("", "stop", 9, 1), Completion("", "length", 9, 0), Completion("\n", "length", 9, 40)):
        assert spoken(silent) == silent


WORDS = st.text("ab \n.", max_size=20)


@given(WORDS, WORDS)
def test_what_is_put_together_comes_apart_again(thought: str, answer: str) -> None:
    both = Thinking(thought.strip(), answer.lstrip())
    assert thinking(str(both)) == both
