"""Words of a text, by the rules of its language.

Chinese and Japanese write no spaces, and Korean writes particles and endings on to the word before them; there a
morphological analyser says what a word is. It works offline: its dictionary comes with the package that the extra of
the language installs.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import cache
from typing import Literal

from itune_core.api import ModelError, Record, RowError

Language = Literal["spaced", "ja", "ko", "zh", "record"]
"""How a text is split: by what it is written with, by an analyser of Japanese, Korean or Chinese, or by what each
record's ``language`` says."""

Segmenter = Callable[[str], Iterable[str]]

SEGMENTED = {"ja": "ja", "jpn": "ja", "ko": "ko", "kor": "ko", "zh": "zh", "zho": "zh", "cmn": "zh"}
"""Languages (ISO 639) that there is an analyser for."""

ANALYSERS = {"ja": ("sudachipy", "sudachidict-small"), "ko": ("kiwipiepy", "kiwipiepy-model"), "zh": ("rjieba",)}
"""The distributions that the words of a language come from, with that of the dictionary where it is another."""

UNSPACED = frozenset(["bo", "bod", "km", "khm", "lo", "lao", "my", "mya", "th", "tha", "wuu", "yue"])
"""Languages without spaces that there is no analyser for."""

WORD = r"[\p{L}\p{N}][\p{L}\p{M}\p{N}\u200c\u200d]*"
"""Letters and digits with the marks on them; the two joiners are spelling in Persian and in the scripts of India."""

PIECE = re.compile(r"[^\n。！？]{1,1000}[\n。！？]*|[\n。！？]+")
"""Japanese is analysed by sentences, and in pieces of at most 1,000 characters: Sudachi refuses more than 49,149 bytes
at once."""


def language_of(record: Record, language: Language) -> Language:
    """How the texts of `record` are split under the setting `language`.

    Raises:
        RowError: the setting is ``record``, and the record ``E-SCORE-011`` says no language or ``E-SCORE-012`` one that
            has neither spaces nor an analyser here.
    """
    if language != "record":
        return language
    said = record["language"]
    if not said:
        raise RowError(
            "the record does not say its language", "E-SCORE-011", fix="set `language` to that of the whole data set"
        )
    primary = re.split("[-_]", said.lower(), maxsplit=1)[0]
    if primary in UNSPACED:
        raise RowError(
            f"there is no analyser for {said!r}",
            "E-SCORE-012",
            why="it is written without spaces, and a word between spaces would be a whole sentence",
            fix="score such records on their own, or filter them out",
        )
    return SEGMENTED.get(primary, "spaced")  # type: ignore[return-value]


def analysers(language: Language) -> list[str]:
    """The distributions whose versions decide what is a word under the setting `language`; under ``record`` all, since
    only the rows say which are needed."""
    return [name for code, names in ANALYSERS.items() if language in (code, "record") for name in names]


def words(text: str, language: Language) -> list[str]:
    """The words of `text` in lower case (Unicode normalisation form C), without punctuation and symbols.

    - ``spaced``: a run of letters, digits and their marks; one apostrophe (``'`` or ``’``, made equal) between two such
      runs joins them. So ``don't`` is one word, ``well-known`` two, ``3.14`` two, ``C++`` one (``c``).
    - ``ja``: short units of Sudachi as they stand in the text; ``ko``: morphemes of Kiwi; ``zh``: words of jieba. Of
      these, what has no letter and no digit is left out.

    Args:
        text: any text.
        language: anything but ``record``; :func:`language_of` says which.

    Raises:
        ModelError: ``E-SCORE-010`` the analyser is not installed.
    """
    text = unicodedata.normalize("NFC", text)
    if language == "spaced":
        return _pattern()(text.lower().replace("’", "'"))
    return [word.lower() for word in _segmenter(language)(text) if any(map(str.isalnum, word))]


@cache
def _pattern() -> Callable[[str], list[str]]:
    import regex

    return regex.compile(f"{WORD}(?:'{WORD})*").findall


@cache
def _segmenter(language: str) -> Segmenter:
    """The analyser of a language, loaded once a process."""
    makers: dict[str, Callable[[], Segmenter]] = {"ja": _japanese, "ko": _korean, "zh": _chinese}
    try:
        return makers[language]()
    except ModuleNotFoundError as error:
        raise ModelError(
            "E-SCORE-010",
            f"splitting {language!r} into words needs a library that is not installed: {error.name}",
            fix=f"pip install 'itune-scorers[{language}]'",
        ) from error


def _japanese() -> Segmenter:
    import sudachidict_small  # noqa: F401  (Sudachi finds it by name, and its own complaint names no distribution)
    from sudachipy import Dictionary, SplitMode

    tokenizer = Dictionary(dict="small").tokenizer(mode=SplitMode.A)

    def segment(text: str) -> list[str]:
        return [unit.surface() for piece in PIECE.findall(text) for unit in tokenizer.tokenize(piece)]

    return segment


def _korean() -> Segmenter:
    from kiwipiepy import Kiwi

    kiwi = Kiwi(num_workers=1)
    return lambda text: [token.form for token in kiwi.tokenize(text)]


def _chinese() -> Segmenter:
    from rjieba import Jieba

    return Jieba().cut
