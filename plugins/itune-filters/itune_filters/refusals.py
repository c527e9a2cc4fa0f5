"""Drop answers with which a model refused."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from itune_core.api import ComponentConfig, Drop, Filter, Input, Keep, Kind, Record, parts
from itune_filters.phrases.refusal import Language, plain, refusal_in, says

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|[。！？\n]+\s*")
SENTENCES = 2
"""What the start of an answer is."""


class Refusals(Filter):
    """Drop records whose answer is a refusal, by the phrases that models use for it.

    The lists are this package's own, in English, Korean, Japanese and Chinese (both scripts); `phrases` adds to them.
    They are of models' ways to say that they will not or cannot ("I cannot assist", "as an AI", 도와드릴 수 없,
    お答えできません, 我无法提供); being sorry alone is none of them, nor is "I cannot help but". Upper case, curly
    apostrophes and line breaks make no difference; words in Latin letters must be whole ("as an ai" is not in "has an
    air of").

    With ``look: start`` a phrase counts in the first two sentences of the answer, where a refusal stands ("I'm sorry. I
    can't help with that."); with ``anywhere`` also later, which finds half-hearted answers, and some that quote one.

    Judged is what a model is to learn: a conversation's last turn, the chosen side of a preference (a refusal is a fine
    rejected one), the completion of feedback.

    Dropped: ``refusal``, with the phrase and its language.

    Source: this package.
    """

    inputs = {"records": Input((Kind.CONVERSATION, Kind.PREFERENCE, Kind.FEEDBACK))}

    class Config(ComponentConfig):
        look: Literal["start", "anywhere"] = Field("start", description="In the first two sentences, or in all of it.")
        languages: list[Language] = Field(
            ["en", "ko", "ja", "zh"], description="Whose lists of phrases to use; none: only `phrases`."
        )
        phrases: list[Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]] = Field(
            [], description="More phrases, in any language."
        )

    def decide(self, record: Record) -> Keep | Drop:
        """Drop it if its answer has one of the phrases where they are looked for."""
        answer = "\n".join(turn["content"] for turn in parts(record).responses[0]).strip()
        if self.config.look == "start":
            answer = " ".join(_SENTENCE_END.split(answer, maxsplit=SENTENCES)[:SENTENCES])
        text = plain(answer)
        for phrase in map(plain, self.config.phrases):
            if says(text, phrase):
                return Drop("refusal", f"{phrase!r} (of the recipe)")
        for language in self.config.languages:
            if found := refusal_in(text, language):
                return Drop("refusal", f"{found!r} ({language})")
        return Keep()
