from __future__ import annotations

import math
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import DataError, Drop, Failed, Keep, Kind, example, message, preference
from itune_filters.expressions.grammar import parse
from itune_filters.where import Where

SCORES = {"score.ifd": 1.31, "score.knn.distance": 0.25, "score.tags.main": "math", "score.flag": True}


@pytest.fixture
def verdict(judge_with: Any, make_chat: Any) -> Any:
    """Of one record with the scores above."""

    def verdict(keep: str, **changes: Any) -> Any:
        scores = {name: [value] for name, value in {**SCORES, **changes}.items()}
        record = make_chat("Name a prime.", "Seven, I think.", source="dolly", language="en").replace(id="r1")
        [found] = judge_with(Where, [record], scores, keep=keep)
        return found

    return verdict


@pytest.mark.parametrize(
    "keep",
    [
        "score.ifd <= 1.5 and words(response) >= 3",
        "1 < score.ifd < 2",
        "score.ifd > 1 > score.knn.distance",
        "score.ifd * 2 - 1 >= score.knn.distance / 0.25",
        "2 - 1 - 1 == 0 * words(all)",  # from left to right
        "8 / 4 / 2 == words(lower('A')) + 0 * score.ifd",
        "-score.ifd < -1 and - -score.ifd > 0",
        "2 + 3 * 4 == 14 + 0 * score.ifd and (2 + 3) * 4 == 20",
        "score.flag and not (score.flag and score.ifd < 1)",
        "not not score.flag",
        "score.flag or score.ifd < 0 and score.ifd > 9",  # `and` binds closer
        "source in ['lima', 'dolly'] and language not in ['ko', \"ja\"]",
        "score.tags.main == 'math' and score.tags.main != \"code\"",
        "score.ifd in [1.31, -2]",
        "contains(lower(response), 'seven') and contains(prompt, 'prime') and contains(all, \"prime.\\nSeven\")",
        "characters(response) == 15 and words(prompt) == 3 and characters(id) == 2",
        "\n score.flag\t",
    ],
)
def test_true(verdict: Any, keep: str) -> None:
    assert verdict(keep) == Keep()


@pytest.mark.parametrize(
    ("keep", "detail"),
    [
        ("score.ifd <= 1", "score.ifd is 1.31, not <= 1"),
        ("1 >= score.ifd", "score.ifd is 1.31, not <= 1"),
        ("0 < score.ifd <= 1.0", "score.ifd is 1.31, not <= 1.0"),
        ("score.flag and score.ifd <= 1 and words(response) > 9", "score.ifd is 1.31, not <= 1"),
        ("words(response) > 9 or not score.flag", "words(response) is 3, not > 9 and score.flag is true"),
        ("not (score.ifd > 1)", "score.ifd is 1.31, which is > 1"),
        ("not (score.flag and score.ifd > 1)", "score.flag is true and score.ifd is 1.31, which is > 1"),
        ("score.ifd < score.knn.distance * 4", "score.ifd is 1.31, not < score.knn.distance * 4 (1)"),
        ("source == 'lima'", "source is 'dolly', not == 'lima'"),
        ("source in ['lima', 'oasst']", "source is 'dolly', none of ['lima', 'oasst']"),
        ("source not in ['dolly']", "source is 'dolly', one of ['dolly']"),
        ("contains(response, 'eight')", "contains(response, 'eight') is false"),
    ],
)
def test_false_says_which_part_and_with_what_values(verdict: Any, keep: str, detail: str) -> None:
    assert verdict(keep) == Drop("where", detail)


def test_values_that_look_alike_are_told_apart(verdict: Any) -> None:
    assert verdict("score.ifd <= 1", **{"score.ifd": 1.0000001}).detail == "score.ifd is 1.0000001, not <= 1"


@pytest.mark.parametrize(
    "keep", ["score.ifd <= 1", "score.flag or score.ifd <= 1", "not score.flag and score.ifd <= 1"]
)
@pytest.mark.parametrize("unknown", [None, math.nan])
def test_what_is_not_known_is_a_failure_wherever_it_stands(
    judge_with: Any, make_chat: Any, keep: str, unknown: Any
) -> None:
    rows = [make_chat("a").replace(id="1"), make_chat("b").replace(id="2")]
    verdicts = judge_with(Where, rows, {"score.ifd": [unknown, 0.5], "score.flag": [True, True]}, keep=keep)
    assert isinstance(verdicts[0], Failed)
    assert verdicts[0].code == "E-FILTER-010"
    assert "score.ifd" in verdicts[0].message
    assert not isinstance(verdicts[1], Failed)


def test_a_null_column_of_the_record_fails_too(judge: Any, make_chat: Any) -> None:
    [found] = judge(Where, [make_chat("a").replace(id="1")], keep="language == 'en'")
    assert found == Failed("E-FILTER-010", "the record has no language: it is null")


@pytest.mark.parametrize(
    ("keep", "code", "about"),
    [
        ("score.tags.main > 1", "E-FILTER-011", "score.tags.main holds text, not a number"),
        ("score.flag > 0", "E-FILTER-011", "score.flag holds true or false, not a number"),
        ("contains(score.ifd, 'a')", "E-FILTER-011", "score.ifd holds a number, not text"),
        ("score.ifd", "E-FILTER-011", "score.ifd holds a number, not true or false"),
        ("score.flag or score.ifd", "E-FILTER-011", "score.ifd holds a number"),
        ("1 / (score.ifd - score.ifd) > 1", "E-FILTER-012", "division by zero"),
        ("score.ifd * 1e308 * 1e308 > 1", "E-FILTER-012", "inf"),
    ],
)
def test_what_cannot_be_told_of_a_record_is_a_failure(verdict: Any, keep: str, code: str, about: str) -> None:
    found = verdict(keep)
    assert isinstance(found, Failed)
    assert (found.code, about in found.message) == (code, True)


def test_parts_that_are_not_there(judge: Any) -> None:
    for kind, keep in ((Kind.PROMPT, "words(response) > 1"), (Kind.TEXT, "words(prompt) > 1")):
        [found] = judge(Where, [example(kind).replace(id="1")], keep=keep)
        assert isinstance(found, Failed)
        assert found.code == "E-FILTER-013"
        assert judge(Where, [example(kind).replace(id="1")], keep="words(all) > 1") == [Keep()]


def test_it_must_be_true_of_every_answer(judge: Any) -> None:
    ask, short, long = ([message("user", "q")], [message("assistant", "a")], [message("assistant", "a b c")])
    pairs = [preference(ask, long, short, id="1"), preference(ask, long, long, id="2")]
    assert judge(Where, pairs, keep="words(response) >= 3") == [
        Drop("where", "words(response) is 1, not >= 3 (answer 2 of 2)"),
        Keep(),
    ]


def test_a_column_that_the_data_set_lacks_stops_the_step(judge: Any, make_chat: Any) -> None:
    with pytest.raises(DataError, match="E-FILTER-014"):
        judge(Where, [make_chat("a").replace(id="1")], keep="score.ifd <= 1")


def test_what_it_reads() -> None:
    component = Where(Where.Config(keep="score.b.c > 1 and score.a < score.b.c or words(response) > 1"))
    assert component.reads() == ("score.b.c", "score.a")
    assert pickle.loads(pickle.dumps(component)).reads() == component.reads()
    assert Where(Where.Config(keep="source == 'a'")).reads() == ()


numbers = st.floats(-1e6, 1e6).map(lambda value: float(f"{value:.6g}"))


@given(numbers, numbers, numbers, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), st.sampled_from(["+", "-", "*"]))
def test_it_computes_as_python_does(a: float, b: float, c: float, sign: str, operation: str) -> None:
    source = f"score.a {operation} {b!r} * 2 {sign} {c!r}"
    expected = eval(source, {}, {"score": type("Score", (), {"a": a})})  # the oracle; its text is made here
    assert parse(source).holds({"score.a": a}) == expected


@given(
    st.recursive(
        st.sampled_from(["score.p", "score.q"]),
        lambda inner: st.one_of(
            inner.map(lambda part: f"not ({part})"),
            st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda parts: "({}) {} ({})".format(*parts)),
        ),
        max_leaves=8,
    ),
    st.booleans(),
    st.booleans(),
)
def test_logic_is_as_in_python_and_is_always_explained(source: str, p: bool, q: bool) -> None:
    values = {"score.p": p, "score.q": q}
    expected = eval(source, {}, {"score": type("Score", (), {"p": p, "q": q})})  # the oracle; its text is made here
    expression = parse(source)
    assert expression.holds(values) == expected
    assert " is true" in expression.why(values) or " is false" in expression.why(values)
