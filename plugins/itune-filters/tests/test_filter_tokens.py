"""What texts are made of when they are compared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.tokenize import tokenize

from itune_core.api import RowError
from itune_filters.likeness.tokens import split, tokens


@given(st.text(st.sampled_from("aBzé9_ -'ßKİ語\n"), max_size=30))
def test_rouge_is_the_tokenizer_of_rouge_score(words: str) -> None:
    try:
        assert tokens(words, "rouge") == tokenize(words, None)
    except RowError:
        kept = "".join(tokenize(words, None))
        assert not kept or 2 * len(kept) < sum(map(str.isalnum, words))


@given(st.text(st.characters(max_codepoint=127), max_size=30))
def test_words_of_ascii_are_those_of_rouge(words: str) -> None:
    assert split(words, "words") == tokenize(words, None)
    assert split(words, "characters") == list("".join(tokenize(words, None)))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("Café, naïve_STRASSE", ["café", "naïve", "strasse"]),
        ("Straße", ["strasse"]),
        ("서울의 날씨는 어때?", ["서울의", "날씨는", "어때"]),
        ("東京のコーヒー2杯", ["東", "京", "の", "コ", "ー", "ヒ", "ー", "2", "杯"]),
        ("ｱﾍﾞＡＢＣ", ["ア", "ベ", "abc"]),
        ("用Python写，谢谢。", ["用", "python", "写", "谢", "谢"]),
        ("กิน ข้าว", ["กิ", "น", "ข้", "า", "ว"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("e\u0301te\u0301 x", ["été", "x"]),
        ("?! — 🌱", []),
    ],
)
def test_words_of_other_scripts(given: str, words: list[str]) -> None:
    assert split(given, "words") == words


def test_characters_are_letters_and_digits_with_their_marks() -> None:
    assert split("날씨, 2 हि!", "characters") == ["날", "씨", "2", "हि"]


@pytest.mark.parametrize(
    "given", ["서울의 날씨는 어때?", "API가 무엇인지 설명해 주세요", "用Python写一个排序的程序", "?!", ""]
)
def test_a_text_that_rouge_would_delete_fails_and_is_not_given_a_similarity(given: str) -> None:
    with pytest.raises(RowError, match="E-FILTER-050"):
        tokens(given, "rouge")


@pytest.mark.parametrize("unit", ["words", "characters"])
def test_a_text_without_letters_fails(unit: str) -> None:
    with pytest.raises(RowError, match="E-FILTER-050"):
        tokens("?! — 🌱", unit)
    assert tokens("用Python写", unit)
