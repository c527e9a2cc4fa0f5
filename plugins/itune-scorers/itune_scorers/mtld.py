"""How varied the words of a text are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import Field

from itune_core.api import ComponentConfig, Record, RowError, Scorer
from itune_scorers.text.parts import Part, texts
from itune_scorers.text.words import Language, analysers, language_of, words


class Mtld(Scorer):
    """Measure of textual lexical diversity: how many words in a row stay varied, on average.

    Reading word by word, the share of distinct words (type-token ratio) falls. Where it falls below `threshold`, and at
    least `min_segment` words were read, a factor is complete and reading begins anew. What is left at the end is a
    partial factor: (1 - ratio) / (1 - threshold) of one, and at most a whole one. Words divided by factors is the
    measure; it is the mean of reading forward and of reading backward. Columns:

    - ``score.<step>``: MTLD, at least 1; larger is more varied;
    - ``score.<step>.words``: how many words it was measured on. On few, one repetition more or less decides.

    A text whose words are all different completes no factor, so that it has no MTLD: the record fails. It is not 0,
    which would make short varied answers the least varied of all. Of short answers many fail; `max_failed` of the step
    says how many may.

    Words are in lower case; punctuation and symbols are left out. With spaces, a word is a run of letters, digits and
    their marks, and one apostrophe between two such runs joins them: ``don't`` is one, ``well-known`` are two. Turns
    are read one after the other.

    Source: McCarthy and Jarvis 2010, doi:10.3758/BRM.42.2.381. The least length of a segment is that of the package
    ``lexical-diversity``; 1 sets none.
    """

    columns = {"": "float64", "words": "int64"}

    class Config(ComponentConfig):
        of: Part = Field(
            "response",
            description="The text it is measured on: the turns before the answer, the answer (the chosen one, or the "
            "first), or all.",
        )
        language: Language = Field(
            "spaced",
            description="How words are told apart: `spaced` by spaces and punctuation; `ja`, `ko` and `zh` by an "
            "analyser (an extra of the same name installs it); `record`: as each record's `language` says.",
        )
        threshold: float = Field(0.72, gt=0, lt=1, description="The share of distinct words that ends a factor.")
        min_segment: int = Field(10, ge=1, description="Fewest words of a whole factor.")

    def depends_on(self) -> Sequence[str]:
        """The analysers of the language."""
        return analysers(self.config.language)

    def score(self, record: Record) -> Mapping[str, Any]:
        """MTLD of the part that the config names.

        Raises:
            RowError: ``E-SCORE-013`` there are no words; ``E-SCORE-014`` all are different; and what
                :func:`itune_scorers.text.words.language_of` says.
            ModelError: ``E-SCORE-010`` the analyser of the language is not installed.
        """
        config = self.config
        language = language_of(record, config.language)
        found = [word for text in texts(record)[config.of] for word in words(text, language)]
        if not found:
            raise RowError(f"the {config.of} has no words", "E-SCORE-013")
        value = mtld(found, config.threshold, config.min_segment)
        if value is None:
            raise RowError(
                f"the {config.of} has no MTLD",
                "E-SCORE-014",
                why=f"its words ({len(found)}) are all different, so that no factor is complete, not even in part",
                fix="leave short texts out before, or let the step's `max_failed` allow for them",
            )
        return {"": value, "words": len(found)}


def mtld(tokens: Sequence[str], threshold: float = 0.72, min_segment: int = 10) -> float | None:
    """Mean of the forward and the backward measure; None where it is undefined: no token comes twice."""
    if len(set(tokens)) == len(tokens):
        return None
    forward, backward = (_factors(order, threshold, min_segment) for order in (tokens, reversed(tokens)))
    return (len(tokens) / forward + len(tokens) / backward) / 2


def _factors(tokens: Iterable[str], threshold: float, min_segment: int) -> float:
    """Factors of the tokens in this order, the partial one at the end included."""
    factors = 0.0
    seen: set[str] = set()
    length, ratio = 0, 1.0
    for token in tokens:
        seen.add(token)
        length += 1
        ratio = len(seen) / length
        if ratio < threshold and length >= min_segment:
            factors += 1
            seen.clear()
            length, ratio = 0, 1.0
    return factors + min(1.0, (1 - ratio) / (1 - threshold))
