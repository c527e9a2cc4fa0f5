"""Tags: how they are read, made alike and counted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import Answer, Ask, Completion, Failed, Kind, Reply, Request, RowError, features, message, prompt
from itune_core.testing import BenchContext
from itune_scorers.tags import Tags, normal, novelty, read_tags


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (["Text_Generation ", "text-generation", "TEXT  generation."], "text generation"),
        (["C++", " c++ "], "c++"),
        (["C#"], "c#"),
        (["ＡＰＩ Design", "api/design"], "api design"),
        (["Straße", "STRASSE"], "strasse"),
        (["요약", " 요약 "], "요약"),
        (["हिन्दी"], "हिन्दी"),
        (["می\u200cخواهم", "میخواهم"], "میخواهم"),
        (["क\u094d\u200dष"], "क\u094dष"),
        (["infor\u00admation", "\ufeffinformation"], "information"),
        (["ข้อมูล\u200bข่าว"], "ข้อมูล ข่าว"),
        (["?!", "", " ", "\u200d", "👩\u200d💻"], ""),
    ],
)
def test_tags_that_are_one(tags: list[str], expected: str) -> None:
    assert {normal(tag) for tag in tags} == {expected}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('["a", "b"]', ["a", "b"]),
        (' ["B", "a", "b "]\n', ["b", "a"]),
        ('```json\n["a"]\n```', ["a"]),
        ('```\n[\n"a",\n"b"\n]\n```', ["a", "b"]),
        ('["?", "a"]', ["a"]),
    ],
)
def test_what_is_a_list_of_tags(text: str, expected: list[str]) -> None:
    assert read_tags(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "[]", '["?"]', "a, b", '["a", 1]', '{"tag": "a"}', '["a"', 'Tags: ["a"]', "[" * 99_999, "['a']", "[NaN]"],
)
def test_what_is_none_fails(text: str) -> None:
    with pytest.raises(RowError, match="E-SCORE-027"):
        read_tags(text)


def test_most_tags_come_first() -> None:
    found = novelty({"r0": ["a"], "r1": ["a", "b", "c"], "r2": ["c", "d"], "r3": ["d", "e"]})
    assert found == {"r1": 1, "r2": 0.5, "r3": 0.5, "r0": 0}


tagged = st.dictionaries(
    st.text("0123456789", min_size=1, max_size=4),
    st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=5, unique=True),
    max_size=12,
)


@given(tagged, st.randoms(use_true_random=False))
def test_novel_is_what_the_papers_first_pass_takes(tags: Mapping[str, list[str]], random: Any) -> None:
    """The sampler as the paper describes it: queries by falling number of tags, one taken if it brings a new tag."""
    chosen: list[str] = []
    covered: set[str] = set()
    for key in sorted(sorted(tags), key=lambda key: -len(tags[key])):
        if not set(tags[key]) <= covered:
            chosen.append(key)
            covered.update(tags[key])
    keys = list(tags)
    random.shuffle(keys)
    found = novelty({key: tags[key] for key in keys})
    assert sorted(key for key, share in found.items() if share > 0) == sorted(chosen)
    assert sum(share * len(tags[key]) for key, share in found.items()) == pytest.approx(len(covered))


def test_records_are_counted_and_a_failed_one_counts_for_nothing(tmp_path: Path) -> None:
    """The answer is the question, so that each record says what its tags are."""
    questions = ['<think>Two.</think> ["History", "essay"]', "I cannot.", '["history"]', '["Essay", "tone", "length"]']
    rows = datasets.Dataset.from_list(
        [{**prompt([message("user", asked)]), "id": f"r{number}"} for number, asked in enumerate(questions)],
        features=features(Kind.PROMPT),
    )

    def reply(request: Request) -> Reply:
        assert isinstance(request, Ask)
        assert request.temperature == 0
        _, _, talk = request.messages[0]["content"].partition("user: ")
        return Answer([Completion(talk.partition("\n")[0], "stop", 1, 1)])

    component = Tags(Tags.Config(model="m"))
    found = list(component.itune_score(inputs={"records": rows}, context=BenchContext(tmp_path, reply=reply)))
    assert isinstance(found[1], Failed)
    assert found[1].code == "E-SCORE-027"
    assert [found[0], *found[2:]] == [
        {"count": 2, "novelty": 0.5},
        {"count": 1, "novelty": 0.0},
        {"count": 3, "novelty": 1.0},
    ]
