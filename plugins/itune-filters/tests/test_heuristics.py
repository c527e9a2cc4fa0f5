from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from pydantic import ValidationError

from itune_core.api import Drop, Keep, message, preference, prompt, text
from itune_filters.heuristics import Heuristics
from itune_filters.phrases.wordcount import word_count


@pytest.fixture
def reason(judge: Any, make_chat: Any) -> Any:
    """Of one conversation; the empty text if it is kept."""

    def reason(question: str, answer: str = "A good answer.", **settings: Any) -> str:
        [verdict] = judge(Heuristics, [make_chat(question, answer).replace(id="1")], **settings)
        return verdict.reason if isinstance(verdict, Drop) else ""

    return reason


@pytest.mark.parametrize(
    ("question", "answer", "expected"),
    [
        ("Name four prime numbers.", "2, 3, 5, 7", ""),
        ("Name a prime.", "2", "too-short"),
        ("word " * 150, "yes", ""),
        ("word " * 151, "yes", "too-long"),
        ("Describe the picture of a horse.", "ok", "unsuitable-word"),
        ("Then GO TO the market and buy fish.", "ok", "unsuitable-word"),
        ("Explain how a Flowchart is read.", "ok", "unsuitable-word"),
        ("Explain what a profile of users is.", "ok", ""),  # whole words only
        ("Redraw the borders of the imagery.", "ok", ""),
        ("Write a program that sorts numbers.", "ok", "asks-for-a-program"),
        ("Please write a program that sorts numbers.", "ok", ""),
        ("- Name four prime numbers.", "ok", "starts-with-punctuation"),
        ('"Prime" is a word of what?', "ok", "starts-with-punctuation"),
        ("Übersetze das ins Englische, bitte.", "ok", "starts-with-non-ascii"),
        ("Name four prime numbers.", " Name four prime numbers. ", "repeats-prompt"),
        ("Name four prime numbers:", "2, 3, 5, 7", "ends-with-colon"),
        ("Name four prime numbers.", "Here they are:", "ends-with-colon"),
    ],
)
def test_rules_for_english(reason: Any, question: str, answer: str, expected: str) -> None:
    assert reason(question, answer) == expected


@pytest.mark.parametrize(
    ("question", "answer", "expected"),
    [
        ("소수를 네 개 말해 주세요.", "2, 3, 5, 7", ""),
        ("素数を四つ挙げてください。", "2、3、5、7", ""),
        ("「素数」の意味を説明してください。", "約数が二つの数です。", ""),
        ("请列举四个素数，并说明理由。", "二、三、五、七", ""),
        ("¿Qué es un número primo?", "Uno con dos divisores.", ""),
        ("素数とは。", "数です。", "too-short"),
        ("、素数を四つ挙げてください。", "はい", "starts-with-punctuation"),
        ("素数を四つ挙げてください。", "次のとおりです：", "ends-with-colon"),
        ("この画像のimageを説明してください。", "はい", ""),
        ("字" * 300, "是", ""),
        ("字" * 301, "是", "too-long"),
    ],
)
def test_rules_for_other_languages(reason: Any, question: str, answer: str, expected: str) -> None:
    assert reason(question, answer, english=False) == expected


def test_english_rules_would_drop_the_others(reason: Any) -> None:
    assert reason("소수를 네 개 말해 주세요.") == "starts-with-non-ascii"
    assert reason("素数を四つ挙げてください。") == "too-short"


def test_what_is_on_is_in_the_settings(reason: Any) -> None:
    assert reason("Name a prime:", sets=["instance"]) == "ends-with-colon"
    assert reason("Name four prime numbers:", sets=["instruction"]) == ""
    assert reason("Explain what audio is good for.") == "unsuitable-word"
    assert reason("Explain what audio is good for.", black_list="self-instruct") == ""
    with pytest.raises(ValidationError):
        Heuristics.Config(sets=[])


def test_the_detail_names_rule_and_value(judge: Any, make_chat: Any) -> None:
    rows = [make_chat(asked).replace(id=asked) for asked in ("Too short", "Draw a large red horse.", "Say this now :")]
    assert judge(Heuristics, rows) == [
        Drop("too-short", "2 words, at least 4 are wanted"),
        Drop("unsuitable-word", "'Draw' is on the black list of alpaca"),
        Drop("ends-with-colon", "the instruction ends with 'Say this now :'"),
    ]


def test_answers_that_contradict_each_other_all_go(judge: Any, make_chat: Any) -> None:
    pairs = [("Name a colour you know.", "Red."), ("Name a city you know.", "Oslo.")]
    pairs += [
        ("Name a colour you know.", "Blue."),
        ("Name a city you know.", " Oslo."),
        ("Name a colour you know.", "Red."),
    ]
    rows = [make_chat(*pair).replace(id=f"r{number}") for number, pair in enumerate(pairs)]
    verdicts = judge(Heuristics, rows, sets=["contradiction"])
    assert verdicts == [
        Drop("contradiction", "same prompt as r2, which is answered otherwise"),
        Keep(),
        Drop("contradiction", "same prompt as r0, which is answered otherwise"),
        Keep(),
        Drop("contradiction", "same prompt as r2, which is answered otherwise"),
    ]
    assert judge(Heuristics, rows) == [Keep()] * 5
    ask = [message("user", "Name a colour you know.")]
    pair = preference(ask, [message("assistant", "Red.")], [message("assistant", "Blue.")], id="p")
    assert judge(Heuristics, [pair], sets=["contradiction"]) == [Keep()]


def test_prompts_and_pairs(judge: Any) -> None:
    ask = [message("user", "Name four prime numbers.")]
    good, bad = ([message("assistant", said)] for said in ("2, 3, 5, 7", "Here:"))
    assert judge(Heuristics, [prompt(ask, id="1")]) == [Keep()]
    [verdict] = judge(Heuristics, [preference(ask, good, bad, id="1")])
    assert verdict.reason == "ends-with-colon"


def test_white_space_hides_nothing(judge: Any) -> None:
    asked = ["Write a  program that counts\nall the words.", "Say how to go\n to the station from here."]
    verdicts = judge(Heuristics, [prompt([message("user", said)], id=said) for said in asked])
    assert [one.reason for one in verdicts] == ["asks-for-a-program", "unsuitable-word"]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("", 0),
        ("two words", 2),
        ("두 단어", 2),
        ("四つの文字列", 3),
        ("三文字", 2),
        ("我用 Python 3 编程。", 4),
        ("カタカナ、ひらがな。", 4),
        ("ﾊﾝｶｸ", 2),
        ("人々", 1),
        ("二〇二六年", 3),
    ],
)
def test_words_in_every_script(said: str, words: int) -> None:
    assert word_count(said) == words


def test_on_real_rows(judge: Any, alpaca: Any) -> None:
    """A thousand instructions of Alpaca, made under these rules: few break one, and the reasons are the known ones."""
    rows = [text(row["instruction"]) for row in alpaca(1000)]
    made = [prompt([message("user", row["text"])], id=str(number)) for number, row in enumerate(rows)]
    reasons = Counter(one.reason for one in judge(Heuristics, made) if isinstance(one, Drop))
    assert sum(reasons.values()) < 150
    assert set(reasons) <= {
        *("too-short", "unsuitable-word", "asks-for-a-program", "starts-with-punctuation", "ends-with-colon"),
    }
