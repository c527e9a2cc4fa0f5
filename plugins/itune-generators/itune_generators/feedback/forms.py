"""What a judge fills in: ratings of several answers by one aspect, and the critique of one answer."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

_REASON = "Why the answer deserves the rating, in a sentence or two."
_RATING = "From 1, the worst, to 5, the best."

FromOneToFive = Annotated[int, Field(ge=1, le=5)]
"""No Literal: pydantic takes true and 4.0 for members of one, however strict it is."""


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Rated(_Form):
    """One answer by one aspect. The reason comes first, so that it is not made up for the rating."""

    reason: str = Field(description=_REASON)
    rating: FromOneToFive = Field(description=_RATING)


class RatedIfApplicable(_Form):
    """One answer by an aspect that it may have nothing to do with."""

    reason: str = Field(description=_REASON)
    rating: FromOneToFive | Literal["N/A"] = Field(description=_RATING)


class Critique(_Form):
    """One answer as a whole."""

    critique: str = Field(description="What is weak in the answer, and how it could be better.")
    overall: int = Field(ge=1, le=10, description="From 1, the worst, to 10, the best.")


def number(rated: Rated | RatedIfApplicable) -> int | None:
    """The rating; None where the aspect does not apply."""
    return None if rated.rating == "N/A" else rated.rating


@lru_cache(maxsize=64)
def ratings_of(count: int, *, may_not_apply: bool) -> type[Any]:
    """The form of `count` answers, by one aspect.

    Args:
        count: as many entries it has, no more and no less, as ``answers``.
        may_not_apply: whether a rating may be ``N/A``.
    """
    entry: Any = RatedIfApplicable if may_not_apply else Rated
    answers = (list[entry], Field(min_length=count, max_length=count, description="In the order shown."))
    return create_model("Ratings", __base__=_Form, answers=answers)
