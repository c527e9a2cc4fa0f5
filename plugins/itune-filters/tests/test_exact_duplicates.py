from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import datasets
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itune_core.api import Drop, Failed, Keep, Kind, example, features, message, preference, prompt, text
from itune_core.testing import BenchContext
from itune_filters.exact_duplicates import ExactDuplicates


def kept(verdicts: list[Any]) -> list[int]:
    return [row for row, verdict in enumerate(verdicts) if verdict == Keep()]


def test_the_first_is_kept_and_the_others_name_it(judge: Any, make_chat: Any) -> None:
    rows = [make_chat(question).replace(id=f"row{number}") for number, question in enumerate("abacba")]
    assert judge(ExactDuplicates, rows) == [
        Keep(),
        Keep(),
        Drop("duplicate", "same as row0"),
        Keep(),
        Drop("duplicate", "same as row1"),
        Drop("duplicate", "same as row0"),
    ]


@pytest.mark.parametrize(
    ("settings_", "expected"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"ignore_case": True}, [0, 2, 3, 4]),
        ({"ignore_whitespace": True}, [0, 1, 3, 4]),
        ({"ignore_case": True, "ignore_whitespace": True}, [0, 3, 4]),
        ({"on": "prompt"}, [0, 1, 2, 3]),
        ({"on": "response"}, [0, 3, 4]),
        ({"on": "prompt", "ignore_case": True, "ignore_whitespace": True}, [0, 3]),
    ],
)
def test_what_counts_as_the_same(judge: Any, make_chat: Any, settings_: Any, expected: list[int]) -> None:
    pairs = [("Who?", "Me."), ("WHO?", "Me."), (" Who?\n", "Me."), ("Wh o?", "You."), ("Who?", "me .")]
    rows = [make_chat(*pair).replace(id=str(number), source=f"s{number}") for number, pair in enumerate(pairs)]
    assert kept(judge(ExactDuplicates, rows, **settings_)) == expected


def test_case_is_folded_not_lowered(judge: Any, make_chat: Any) -> None:
    rows = [make_chat("Straße").replace(id="1"), make_chat("STRASSE").replace(id="2")]
    assert kept(judge(ExactDuplicates, rows, ignore_case=True)) == [0]


def test_roles_turns_and_tool_calls_count(judge: Any) -> None:
    ask = [message("user", "a")]
    rows = [
        prompt(ask),
        prompt([message("system", "a"), *ask]),
        prompt([message("user", "a", name="Ada")]),
        prompt([message("assistant", "", tool_calls="[]"), *ask]),
        prompt([message("assistant", ""), *ask]),
        prompt(ask, category="other"),
    ]
    numbered = [row.replace(id=str(number)) for number, row in enumerate(rows)]
    assert kept(judge(ExactDuplicates, numbered)) == [0, 1, 2, 3, 4]


def test_a_preference_and_its_reverse_differ(judge: Any) -> None:
    ask, good, bad = ([message(role, role)] for role in ("user", "assistant", "assistant"))
    bad = [message("assistant", "no")]
    rows = [preference(ask, good, bad, id="1"), preference(ask, bad, good, id="2"), preference(ask, good, bad, id="3")]
    assert kept(judge(ExactDuplicates, rows)) == [0, 1]
    assert kept(judge(ExactDuplicates, rows, on="prompt")) == [0]


@pytest.mark.parametrize(("kind", "on"), [(Kind.PROMPT, "response"), (Kind.TEXT, "prompt")])
def test_a_record_without_the_chosen_part_fails(judge: Any, kind: Kind, on: str) -> None:
    [verdict] = judge(ExactDuplicates, [example(kind).replace(id="1")], on=on)
    assert isinstance(verdict, Failed)
    assert verdict.code == "E-FILTER-002"
    assert judge(ExactDuplicates, [example(kind).replace(id="1")]) == [Keep()]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.lists(st.sampled_from("aAbB \n"), max_size=12).map("".join), st.booleans(), st.booleans())
def test_first_of_each_kept_and_a_second_pass_keeps_all(
    judge: Any, make_chat: Any, letters: str, case: bool, space: bool
) -> None:
    texts = [f"{letter}x" for letter in letters]
    rows = [make_chat(content).replace(id=str(number)) for number, content in enumerate(texts)]
    options = {"ignore_case": case, "ignore_whitespace": space}

    def normal(content: str) -> str:
        content = content.casefold() if case else content
        return " ".join(content.split()) if space else content

    first = kept(judge(ExactDuplicates, rows, **options))
    seen = [normal(content) for content in texts]
    assert first == [row for row, content in enumerate(seen) if content not in seen[:row]]
    again = [rows[row] for row in first]
    assert kept(judge(ExactDuplicates, again, **options)) == list(range(len(again)))


def test_memory_holds_digests_not_texts(tmp_path: Path) -> None:
    count, size = 4_000, 10_000
    rows = [dict(text(f"{number} " + "x" * size, id=str(number))) for number in range(count)]
    data = datasets.Dataset.from_list(rows, features=features(Kind.TEXT))
    del rows
    verdicts = ExactDuplicates(ExactDuplicates.Config()).itune_filter(
        inputs={"records": data}, context=BenchContext(tmp_path)
    )
    tracemalloc.start()
    try:
        assert sum(verdict == Keep() for verdict in verdicts) == count
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # One batch of 1,000 decoded rows is 10 MB; all texts would be 40 MB.
    assert peak < 25_000_000
