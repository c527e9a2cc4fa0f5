from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itune_core.api import Record, Row, read_rows
from itune_formatters.preferences.hh_rlhf import HHRLHF, MARKER

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=20).filter(
    lambda text: not MARKER.search(f"\n\n{text}") and not MARKER.search(f"{text}\n\nHuman:"[:-8])
)


def transcript(*turns: str, begin: str = "Human") -> str:
    names = ["Human", "Assistant"] if begin == "Human" else ["Assistant", "Human"]
    return "".join(f"\n\n{names[number % 2]}: {turn}" for number, turn in enumerate(turns))


def outcome_of(run: Any, chosen: Any, rejected: Any, **more: Any) -> Any:
    [outcome] = run(HHRLHF, [{"chosen": chosen, "rejected": rejected, **more}])
    return outcome


def contents(turns: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(turn["role"], turn["content"]) for turn in turns]


def test_a_dialogue_of_several_turns(run: Any) -> None:
    made = outcome_of(
        run, transcript("Hi", "Hello", "2+2?", "4"), transcript("Hi", "Hello", "2+2?", "5"), tranche="base"
    )
    assert contents(made["prompt"]) == [("user", "Hi"), ("assistant", "Hello"), ("user", "2+2?")]
    assert contents(made["chosen"]) == [("assistant", "4")]
    assert contents(made["rejected"]) == [("assistant", "5")]
    assert (made["probability"], made["meta"]) == (None, '{"tranche": "base"}')


def test_markers_inside_a_turn_are_text(run: Any) -> None:
    made = outcome_of(
        run, transcript("Human: or\nAssistant: ?", "a\n\nb Human:"), transcript("Human: or\nAssistant: ?", "c")
    )
    assert contents(made["prompt"]) == [("user", "Human: or\nAssistant: ?")]
    assert contents(made["chosen"]) == [("assistant", "a\n\nb Human:")]


@pytest.mark.parametrize(
    ("chosen", "rejected", "reason"),
    [
        (transcript("a", "b", "c", "d"), transcript("a", "x", "c", "e"), "prompts-differ"),
        (transcript("a", "b", "c", "d"), transcript("a", "b"), "prompts-differ"),
        (transcript("a", "b"), transcript("a", "b", "c", "d"), "prompts-differ"),
        (transcript("a", "b", "c"), transcript("a", "b", "d"), "turns-out-of-order"),
        (transcript("a", "b", begin="Assistant"), transcript("a", "c", begin="Assistant"), "turns-out-of-order"),
        (transcript("a") + transcript("b"), transcript("a") + transcript("c"), "turns-out-of-order"),
        (transcript("a", "b"), transcript("a") + transcript("b"), "turns-out-of-order"),
        (transcript("a", "b", begin="Human") + "\n\nAssistant: c", transcript("a", "b") + "\n\nAssistant: d",
         "turns-out-of-order"),
        (transcript("a", "b"), transcript("a", ""), "empty-output"),
        (transcript("a", " \n"), transcript("a", "b"), "empty-output"),
        (transcript("a", "b"), transcript("a", "b "), "equal-responses"),
    ],
)  # fmt: skip
def test_drops(run: Any, chosen: str, rejected: str, reason: str) -> None:
    assert outcome_of(run, chosen, rejected).reason == reason


def test_where_transcripts_part_is_said(run: Any) -> None:
    outcome = outcome_of(run, transcript("a", "b", "c", "d", "e", "f"), transcript("a", "b", "x", "d", "e", "f"))
    assert outcome.detail == "from turn 3 on"


@pytest.mark.parametrize(
    ("chosen", "code"),
    [("No markers.", "E-FORMAT-003"), ("", "E-FORMAT-003"), ("Before.\n\nHuman: a\n\nAssistant: b", "E-FORMAT-003"),
     (None, "E-DATA-002"), (["a"], "E-DATA-003")],
)  # fmt: skip
def test_what_is_no_transcript_fails(run: Any, chosen: Any, code: str) -> None:
    assert outcome_of(run, chosen, transcript("a", "b")).code == code


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    prompt=st.lists(TEXT, min_size=1, max_size=5).filter(lambda turns: len(turns) % 2), answers=st.tuples(TEXT, TEXT)
)
def test_no_text_is_lost(run: Any, prompt: list[str], answers: tuple[str, str]) -> None:
    outcome = outcome_of(run, transcript(*prompt, answers[0]), transcript(*prompt, answers[1]))
    chosen, rejected = (answer.strip() for answer in answers)
    if not chosen or not rejected:
        assert outcome.reason == "empty-output"
    elif chosen == rejected:
        assert outcome.reason == "equal-responses"
    else:
        assert [content for _, content in contents(outcome["prompt"])] == [text.strip() for text in prompt]
        assert contents(outcome["chosen"]) == [("assistant", chosen)]
        assert contents(outcome["rejected"]) == [("assistant", rejected)]


def test_a_thousand_real_pairs(run: Any, real: Any, tally: Any) -> None:
    path = real("hh_rlhf/helpful_base_1000.jsonl.gz")
    outcomes = run(HHRLHF, path)
    assert tally(outcomes) == {"record": 991, "prompts-differ": 4, "empty-output": 3, "turns-out-of-order": 2}
    several = 0
    for raw, outcome in zip(read_rows([path]), outcomes, strict=True):
        if isinstance(outcome, Record):
            assert isinstance(raw, Row)
            several += len(outcome["prompt"]) > 1
            for side in ("chosen", "rejected"):
                spelt = "".join(
                    f"\n\n{'Human' if turn['role'] == 'user' else 'Assistant'}: {turn['content']}"
                    for turn in [*outcome["prompt"], *outcome[side]]
                )
                assert spelt.split() == raw[side].split()
    assert several > 600
