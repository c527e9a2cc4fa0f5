"""MTLD by hand, by its properties, and in the step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import Failed, Record, conversation, features, message, preference, prompt
from itune_core.testing import BenchContext
from itune_scorers.mtld import Mtld, mtld
from itune_scorers.text.words import words

TOKENS = st.lists(st.sampled_from("abcdefghijklmnop"), max_size=120)


def scores(folder: Path, *rows: Record, **settings: Any) -> list[Any]:
    data = datasets.Dataset.from_list(
        [{**row, "id": f"r{number}"} for number, row in enumerate(rows)], features=features(rows[0].kind)
    )
    return list(Mtld(Mtld.Config(**settings)).itune_score(inputs={"records": data}, context=BenchContext(folder)))


def answered(answer: str, question: str = "Say it.", **common: Any) -> Record:
    return conversation([message("user", question), message("assistant", answer)], **common)


PEOPLE = ["of", "the", "people", "by", "the", "people", "for", "the", "people"]


def test_by_hand() -> None:
    """Forward, the ratio falls below 0.72 at the sixth word; backward, at the fifth. What is left is all different."""
    assert mtld(PEOPLE, min_segment=1) == 9.0
    # One more "the" at the end. Forward, three of the four words left are distinct. Backward, a factor ends at the
    # third word (2/3) and at the sixth from there (4/6), and one word is left.
    forward, backward = 10 / (1 + (1 - 3 / 4) / 0.28), 10 / 2
    assert mtld([*PEOPLE, "the"], min_segment=1) == pytest.approx((forward + backward) / 2, rel=1e-12)


def test_a_whole_factor_has_a_least_length_and_a_partial_one_is_at_most_whole() -> None:
    assert mtld(PEOPLE) == 9.0, "5/9 are distinct, which is less than 0.72; there are no ten words"
    assert mtld([*PEOPLE, "people"]) == 10.0, "the tenth word completes the only factor"


def test_the_threshold_itself_completes_nothing() -> None:
    """At the 25th word the ratio is 0.72; ten new words follow, and 28 of all 35 are distinct."""
    tokens = [f"w{number}" for number in range(18)] + ["w0"] * 7 + [f"v{number}" for number in range(10)]
    assert 18 / 25 == 0.72
    forward = 35 / ((1 - 28 / 35) / 0.28)
    backward = 35 / (1 + (1 - 18 / 19) / 0.28)  # a factor of 16 words (11 distinct); of the 19 left, w0 comes twice
    assert mtld(tokens) == pytest.approx((forward + backward) / 2, rel=1e-12)


@pytest.mark.parametrize("tokens", [[], ["one"], ["all", "words", "differ"], [str(number) for number in range(500)]])
def test_without_a_repetition_it_is_undefined(tokens: list[str]) -> None:
    assert mtld(tokens) is None


@given(TOKENS, st.sampled_from([1, 10]))
def test_it_reads_both_ways(tokens: list[str], min_segment: int) -> None:
    value = mtld(tokens, min_segment=min_segment)
    backward = mtld(tokens[::-1], min_segment=min_segment)
    assert value == (None if backward is None else pytest.approx(backward, rel=1e-12))
    assert (value is None) == (len(set(tokens)) == len(tokens))
    assert value is None or value >= 1


@given(TOKENS)
def test_only_which_words_are_equal_counts(tokens: list[str]) -> None:
    assert mtld(tokens) == mtld([f"{token}'s" for token in tokens])


def test_more_variety_is_more() -> None:
    def text(different: int) -> list[str]:
        return [f"w{number % different}" for number in range(200)]

    values = [mtld(text(different)) for different in (5, 20, 50, 150)]
    assert values == sorted(values, key=lambda value: value or 0)
    assert len(set(values)) == 4


REPEATED = "The dog saw the cat, and the cat saw the dog."
DISTINCT = "Seven ships sailed north."


@pytest.mark.parametrize(("of", "count"), [("prompt", 6), ("response", 11), ("total", 17)])
def test_of_which_part(tmp_path: Path, of: str, count: int) -> None:
    asked = "A dog? A cat? A bird?"
    [found] = scores(tmp_path, answered(REPEATED, asked), of=of)
    text = {"prompt": asked, "response": REPEATED, "total": f"{asked} {REPEATED}"}[of]
    tokens = text.lower().replace(",", "").replace(".", "").replace("?", "").split()
    assert found == {"": mtld(tokens), "words": count}


def test_of_a_preference_the_chosen_side(tmp_path: Path) -> None:
    sides = ([message("assistant", REPEATED)], [message("assistant", DISTINCT)])
    found = scores(tmp_path, *(preference([message("user", "Say.")], *pair) for pair in (sides, sides[::-1])))
    assert found[0]["words"] == 11
    assert isinstance(found[1], Failed)


def test_what_is_undefined_fails_and_says_why(tmp_path: Path) -> None:
    first, second, third = scores(tmp_path, answered(DISTINCT), answered(REPEATED), answered("... !"))
    assert isinstance(first, Failed)
    assert first.code == "E-SCORE-014"
    assert "words (4) are all different" in first.message
    assert second["words"] == 11
    assert isinstance(third, Failed)
    assert third.code == "E-SCORE-013"


def test_a_prompt_has_no_response(tmp_path: Path) -> None:
    row = prompt([message("user", REPEATED)])
    [answer] = scores(tmp_path, row)
    assert isinstance(answer, Failed)
    assert answer.code == "E-SCORE-013"
    assert scores(tmp_path, row, of="prompt")[0]["words"] == 11


@pytest.mark.parametrize(
    ("language", "text", "distinct"),
    [
        ("ja", "犬が猫を見て、猫が犬を見た。", 7),
        ("ko", "개가 고양이를 보고 고양이가 개를 보았다.", 8),
        ("zh", "小狗看见小猫，小猫也看见小狗。", 4),
    ],
)
def test_languages_without_spaces(tmp_path: Path, language: str, text: str, distinct: int) -> None:
    """Between spaces such a text is all different, or one word; its analyser finds what is repeated."""
    [unsplit] = scores(tmp_path, answered(text))
    assert isinstance(unsplit, Failed)
    [found] = scores(tmp_path, answered(text), language=language)
    tokens = words(text, language)  # type: ignore[arg-type]
    assert len(set(tokens)) == distinct
    assert found == {"": mtld(tokens), "words": len(tokens)}
    assert scores(tmp_path, answered(text, language=language), language="record") == [found]


def test_a_threshold_of_another_study(tmp_path: Path) -> None:
    text = " ".join(f"w{number % 30}" for number in range(300))
    loose, strict = (scores(tmp_path, answered(text), threshold=value)[0][""] for value in (0.66, 0.75))
    assert strict < loose
