"""How good an answer is, as a model that is asked writes it: AlpaGasus."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from typing import Any

from pydantic import Field

from itune_core.api import Answer, Ask, Input, Kind, Record, RowError, Scorer, spoken
from itune_scorers.asking.prompting import PromptConfig, Prompted
from itune_scorers.asking.turns import question, response

HIGHEST = 5.0

RATING = re.compile(r"(?:(?:score|rating)\s*:\s*)?(?P<rating>\d+(?:\.\d+)?)(?:\s*/\s*5(?:\.0+)?)?\.?", re.IGNORECASE)
"""A line that is a rating and nothing else: ``4``, ``4.5/5``, ``Score: 4.``"""


class LlmRating(Prompted, Scorer):
    """How good a model says that the answer is, from 0 to 5: AlpaGasus.

    The model is asked greedily to rate one dimension of the answer and to put the rating on its first line. One column:

    - ``score.<step>``: the rating; AlpaGasus keeps what has at least 4.5.

    The first line that is not blank must be the rating and nothing else: a number from 0 to 5, with ``/5`` or
    ``Score:`` at most. Anything else fails (``E-SCORE-026``) and is no middling rating; so does a line that
    `max_tokens` may have cut. What a reasoning model thinks first is not read; it needs a larger `max_tokens`, and
    fails without an end of its thought (``E-MODEL-020``). What the model wrote is kept in the journal all the same, so
    that a parser that reads more of it asks nothing again.

    A `prompt` of your own must ask for the rating on the first line too. It may use ``prompt``, the turns before the
    answer, each with ``role`` and ``content``; ``response``, the text of the answer; and ``dimension``.

    Source: arXiv:2307.08701; the question is this package's.
    """

    inputs = {"records": Input((Kind.CONVERSATION, Kind.FEEDBACK))}
    template = "llm_rating"
    gives = frozenset({"prompt", "response", "dimension"})

    class Config(PromptConfig):
        dimension: str = Field(
            "accuracy", min_length=1, description="What is rated, in the words of the question: `helpfulness`, say."
        )
        max_tokens: int = Field(16, ge=1, description="Most new tokens of the model's answer.")

    def score(self, record: Record) -> Generator[Any, Any, Mapping[str, Any]]:
        """Ask for the rating and read it.

        Raises:
            DataError: ``E-DATA-035`` the prompt cannot be used.
            RowError: ``E-SCORE-020`` no turn precedes the answer; ``E-SCORE-023`` it has no text; ``E-DATA-033`` the
                prompt cannot be rendered; ``E-SCORE-026`` what the model wrote is no rating, ``E-MODEL-020`` or a
                thought without an end; and what the backend says of rows it cannot answer.
        """
        asked = self.asked(prompt=question(record), response=response(record), dimension=self.config.dimension)
        answer: Answer = yield Ask(self.config.model, asked, max_tokens=self.config.max_tokens)
        completion = spoken(*answer.completions)
        return {"": rating(completion.text, whole=completion.finish == "stop")}


def rating(text: str, *, whole: bool = True) -> float:
    """The rating in what a model wrote.

    Args:
        text: what it wrote.
        whole: whether it came to its end; otherwise a last line may have lost some of its own.

    Raises:
        RowError: ``E-SCORE-026`` there is none.
    """
    first, newline, _ = text.strip().partition("\n")
    found = RATING.fullmatch(first.strip())
    if found is None or float(found["rating"]) > HIGHEST or not (whole or newline):
        raise RowError(
            "the model's answer does not begin with a line that is a rating from 0 to 5",
            "E-SCORE-026",
            why=f"it begins {text[:80]!r}" + ("" if whole else ", and hit max_tokens"),
            fix="use a model that follows instructions better, or word the question for it with prompt",
        )
    return float(found["rating"])
