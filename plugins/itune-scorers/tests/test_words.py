"""What a word is, in every language that has a rule here."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import Kind, ModelError, RowError, example
from itune_scorers.length import Length
from itune_scorers.mtld import Mtld
from itune_scorers.text.words import PIECE, Language, _segmenter, language_of, words

ANALYSED: list[Language] = ["ja", "ko", "zh"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The cat, the CAT!", ["the", "cat", "the", "cat"]),
        ("Don’t — don't.", ["don't", "don't"]),
        ("'quoted' dogs' rock'n'roll", ["quoted", "dogs", "rock'n'roll"]),
        ("well-known e.g. 3.14 C++", ["well", "known", "e", "g", "3", "14", "c"]),
        ("snake_case and __init__", ["snake", "case", "and", "init"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        ("ÉCOLE école e\u0301cole", ["école", "école", "école"]),
        ("İstanbul", ["i\u0307stanbul"]),
        ("👍🏽 …  \n\t", []),
        ("", []),
    ],
)
def test_spaced(text: str, expected: list[str]) -> None:
    assert words(text, "spaced") == expected


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("ja", "犬が、水を飲みました。", ["犬", "が", "水", "を", "飲み", "まし", "た"]),
        ("ko", "개가 물을 마셨다.", ["개", "가", "물", "을", "마시", "었", "다"]),
        ("zh", "小狗在喝水，Python 很好！", ["小狗", "在", "喝水", "python", "很", "好"]),
    ],
)
def test_analysed(language: Language, text: str, expected: list[str]) -> None:
    assert words(text, language) == expected


@pytest.mark.parametrize("language", ANALYSED)
@pytest.mark.parametrize("text", ["", " \n\n ", "、。！？…", "👍🏽"])
def test_nothing_but_signs(language: Language, text: str) -> None:
    assert words(text, language) == []


def test_decomposed_hangul_is_the_same_text() -> None:
    text = "물을 마셨다"
    assert words(unicodedata.normalize("NFD", text), "ko") == words(text, "ko")


def test_japanese_of_any_length() -> None:
    sentence = "犬が水を飲みました。"
    assert words(sentence * 4000, "ja") == words(sentence, "ja") * 4000  # more bytes than Sudachi takes at once
    assert words("㍿" * 20_000 + "犬", "ja")[-1] == "犬", "a sign that Sudachi takes for four characters"


@given(st.text(alphabet="あ亜。！？\n x"))
def test_pieces_are_the_whole_text(text: str) -> None:
    assert "".join(PIECE.findall(text)) == text


@given(st.text(st.characters(exclude_categories=["Cn", "Cs"])))  # which scripts are known differs by library
def test_words_are_in_lower_case_and_hold_a_letter_or_digit(text: str) -> None:
    for word in words(text, "spaced"):
        assert word == word.lower()
        assert any(map(str.isalnum, word))
        assert not any(map(str.isspace, word))


@given(st.lists(st.sampled_from(["stone", "well", "9", "don't", "é"])), st.sampled_from([" ", ", ", "\n", " - ", "."]))
def test_words_joined_by_signs_come_apart_again(chosen: list[str], sign: str) -> None:
    assert words(sign.join(chosen), "spaced") == chosen


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("en", "spaced"),
        ("ja", "ja"),
        ("zh-Hant-TW", "zh"),
        ("zh_CN", "zh"),
        ("KOR", "ko"),
        ("cmn", "zh"),
        ("de", "spaced"),
    ],
)
def test_the_language_that_a_record_says(said: str, expected: str) -> None:
    record = example(Kind.TEXT).replace(language=said)
    assert language_of(record, "record") == expected
    assert language_of(record, "ko") == "ko", "a setting is not overruled"


@pytest.mark.parametrize(
    ("said", "code"), [(None, "E-SCORE-011"), ("", "E-SCORE-011"), ("th", "E-SCORE-012"), ("yue-HK", "E-SCORE-012")]
)
def test_a_record_of_no_known_language(said: str | None, code: str) -> None:
    with pytest.raises(RowError) as caught:
        language_of(example(Kind.TEXT).replace(language=said), "record")
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("language", "module"), [("ja", "sudachipy"), ("ja", "sudachidict_small"), ("ko", "kiwipiepy"), ("zh", "rjieba")]
)
def test_without_its_analyser_it_says_what_to_install(
    language: Language, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    _segmenter.cache_clear()
    with pytest.raises(ModelError, match=rf"itune-scorers\[{language}\]") as caught:
        words("x", language)
    assert caught.value.code == "E-SCORE-010"
    assert module in caught.value.what


@pytest.mark.parametrize(
    ("language", "named"),
    [
        ("spaced", set()),
        ("ja", {"sudachipy", "sudachidict-small"}),
        ("ko", {"kiwipiepy", "kiwipiepy-model"}),
        ("zh", {"rjieba"}),
        ("record", {"sudachipy", "sudachidict-small", "kiwipiepy", "kiwipiepy-model", "rjieba"}),
    ],
)
@pytest.mark.parametrize("scorer", [Length, Mtld])
def test_only_the_analysers_of_the_language_decide_what_is_a_word(
    scorer: type[Length | Mtld], language: Language, named: set[str]
) -> None:
    assert set(scorer(scorer.Config(language=language)).depends_on()) == named
