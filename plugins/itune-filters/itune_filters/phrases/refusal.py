"""Phrases with which models refuse, by language, in the form that :func:`plain` gives to texts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

Language = Literal["en", "ko", "ja", "zh"]

REFUSALS: Mapping[Language, tuple[str, ...]] = {
    "en": (
        *("as an ai", "as a language model", "as a large language model", "i'm an ai", "i am an ai"),
        *("i'm just an ai", "i am just an ai", "i am only an ai", "i'm only a language model"),
        *("i cannot assist", "i can't assist", "i cannot help", "i can't help with", "i can't help you"),
        *("i cannot provide", "i can't provide", "i cannot fulfill", "i can't fulfill", "i cannot comply"),
        *("i can't comply", "i cannot answer", "i can't answer", "i cannot generate", "i can't generate"),
        *("i cannot create", "i can't create", "i cannot complete", "i can't complete", "i cannot engage"),
        *("i'm unable to", "i am unable to", "i'm not able to", "i am not able to", "i'm not capable of"),
        *("i am not capable of", "i do not have the ability", "i don't have the ability"),
        *("i won't be able to", "i will not be able to", "i must decline", "i have to decline"),
        *("sorry, but i can't", "sorry, but i cannot", "sorry, i can't", "sorry, i cannot"),
        *("i apologize, but i", "unfortunately, i can't", "unfortunately, i cannot", "unfortunately, i don't have"),
        *("against my programming", "not comfortable with", "unable to fulfill", "unable to comply"),
    ),
    "ko": (
        *(
            "인공지능으로서",
            "인공지능 언어 모델",
            "ai로서",
            "ai 언어 모델",
            "ai 모델로서",
            "언어 모델로서",
            "언어 모델이기",
        ),
        *(
            "도와드릴 수 없",
            "도와 드릴 수 없",
            "도움을 드릴 수 없",
            "답변할 수 없",
            "답변드릴 수 없",
            "답변해 드릴 수 없",
        ),
        *(
            "대답할 수 없",
            "대답해 드릴 수 없",
            "제공할 수 없",
            "제공해 드릴 수 없",
            "알려드릴 수 없",
            "알려 드릴 수 없",
        ),
        *("말씀드릴 수 없", "수행할 수 없", "응할 수 없", "생성할 수 없", "작성할 수 없", "작성해 드릴 수 없"),
        *("답변하기 어렵", "도와드리기 어렵", "답변을 드리기 어렵"),
    ),
    "ja": (
        *("aiとして", "ai言語モデル", "言語モデルとして", "言語モデルなので", "言語モデルですので", "人工知能として"),
        *("お手伝いできません", "お手伝いすることはできません", "お答えできません", "お答えすることはできません"),
        *("答えることはできません", "答えることができません", "回答できません", "回答することはできません"),
        *(
            "提供できません",
            "提供することはできません",
            "ご提供できません",
            "お応えできません",
            "応じることはできません",
        ),
        *(
            "対応できません",
            "生成できません",
            "作成できません",
            "お教えできません",
            "お答えしかねます",
            "いたしかねます",
        ),
    ),
    "zh": (
        *("作为一个人工智能", "作为人工智能", "作为一个ai", "作为ai", "作为一名ai", "作为一个语言模型", "作为语言模型"),
        *(
            "我只是一个人工智能",
            "我是一个人工智能",
            "我是一个ai",
            "我无法回答",
            "我不能回答",
            "我无法提供",
            "我不能提供",
        ),
        *("我无法帮助", "我不能帮助", "我无法协助", "我无法满足", "我无法完成", "我不能协助", "无法回答这个问题"),
        *(
            "无法提供帮助",
            "作為一個人工智慧",
            "作為人工智慧",
            "作為一個ai",
            "作為ai",
            "作為一個語言模型",
            "作為語言模型",
        ),
        *("我無法回答", "我不能回答", "我無法提供", "我無法幫助", "我無法協助", "我無法滿足", "我無法完成"),
    ),
}

_IDIOM = re.compile(r"\b(?:cannot|can not|can't) help but\b")
"""What says that one does something, and not that one refuses to."""

_LATIN = "[a-z0-9\u00df-\u024f]"


def says(text: str, phrase: str) -> bool:
    """Whether `text` has `phrase`, both as :func:`plain` has them, in whole words: "as an ai" is not in "has an air".

    That goes for words in Latin letters; in other scripts endings and the next word follow without a space.
    """
    return phrase in text and _whole(phrase).search(text) is not None


@lru_cache(maxsize=1024)
def _whole(phrase: str) -> re.Pattern[str]:
    before = f"(?<!{_LATIN})" if re.match(_LATIN, phrase[0]) else ""
    after = f"(?!{_LATIN})" if re.match(_LATIN, phrase[-1]) else ""
    return re.compile(f"{before}{re.escape(phrase)}{after}")


def refusal_in(text: str, language: Language) -> str | None:
    """The first of the phrases of a language that `text` has, which is as :func:`plain` has it. "I cannot help but
    smile" has none."""
    meant = _IDIOM.sub(" ", text)
    return next((phrase for phrase in REFUSALS[language] if says(meant, phrase)), None)


def plain(text: str) -> str:
    """`text` in lower case, with straight apostrophes and single spaces."""
    return " ".join(text.replace("\u2019", "'").replace("\u02bc", "'").casefold().split())
