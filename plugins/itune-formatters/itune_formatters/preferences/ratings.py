"""UltraFeedback rows: the answers of several models to one instruction, rated by a judge."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from itune_core.api import Drop, Formatter, Row, RowError
from itune_formatters.rest import rest

ASPECTS = ("instruction_following", "honesty", "truthfulness", "helpfulness")
NOT_RATED = ("N/A", "NA", "")


@dataclass(frozen=True)
class Rated:
    """An answer that can be compared with others.

    Attributes:
        response: its text.
        model: who gave it.
        score: higher is better.
    """

    response: str
    model: str | None
    score: float


@dataclass(frozen=True)
class Comparison:
    """What a row compares.

    Attributes:
        instruction: what was asked.
        rated: at least two answers, in the order of the row.
        others: the fields that are kept beside them.
    """

    instruction: str
    rated: list[Rated]
    others: Mapping[str, Any]

    def common(self, **more: Any) -> dict[str, Any]:
        """The common columns of a record, with `more` in its ``meta``."""
        return rest({**self.others, **more}, "instruction")


class RatingFormatter(Formatter):
    """What the formatters of UltraFeedback share: reading, scoring, and the answers that are left out."""

    class Config(Formatter.Config):
        score: Literal["aspects", "overall"] = Field(
            "aspects",
            description="What an answer is worth. aspects: the mean of its ratings (1 to 5) for following "
            "instructions, honesty, truthfulness and helpfulness, those that do not apply left out; overall: "
            "`overall_score`.",
        )
        suspect: Literal["drop", "one", "keep"] = Field(
            "drop",
            description="With `score: overall`, an answer whose overall score is 10 and whose aspects are at most 2 on "
            "average, an error of the first edition. drop: it is left out; one: it counts as 1; keep: as 10. (The "
            "authors judged those between 2 and 4 anew; a row does not tell which of them were wrong, so they stay.)",
        )

    def comparison(self, row: Row) -> Comparison | Drop:
        """The answers of a row.

        Answers are left out as ``not-rated``, ``empty-output`` and ``suspect``, and counted in ``meta`` under
        ``left_out``.
        """
        instruction, given = row.text("instruction"), row.get("completions")
        if not isinstance(given, list) or not all(isinstance(item, Mapping) for item in given):
            raise RowError("'completions' must be a list of objects", "E-FORMAT-048")
        left_out: Counter[str] = Counter()
        rated: list[Rated] = []
        for completion in given:
            found = self._rated(Row(completion, row.where))
            if isinstance(found, str):
                left_out[found] += 1
            else:
                rated.append(found)
        if not instruction.strip():
            return Drop("empty-prompt")
        if len(rated) < 2:
            return Drop(
                "too-few-candidates", ", ".join([str(len(rated)), *(f"{n} {why}" for why, n in left_out.items())])
            )
        others = [{name: value for name, value in item.items() if name != "response"} for item in given]
        more = {"completions": others, **({"left_out": dict(left_out)} if left_out else {})}
        return Comparison(instruction, rated, {**row, **more})

    def _rated(self, completion: Row) -> Rated | str:
        """An answer with its score, or why it is left out."""
        response, aspects = completion.text("response"), mean_of_aspects(completion)
        overall = _rating(completion, "overall_score", 1, 10)
        score = aspects if self.config.score == "aspects" else overall
        if self.config.score == "overall" and overall == 10 and aspects is not None and aspects <= 2:
            if self.config.suspect == "drop":
                return "suspect"
            score = 1.0 if self.config.suspect == "one" else score
        if score is None:
            return "not-rated"
        if not response.strip():
            return "empty-output"
        return Rated(response, completion.text("model", "") or None, score)


def mean_of_aspects(completion: Row) -> float | None:
    """The mean of the aspects that were rated, None if none was.

    Raises:
        RowError: ``E-FORMAT-048`` a rating is neither a number from 1 to 5 nor N/A, or the annotations are no objects.
    """
    annotations = completion.get("annotations")
    if not isinstance(annotations, Mapping):
        raise RowError("'annotations' of a completion must be an object", "E-FORMAT-048")
    found = []
    for name in ASPECTS:
        annotation = annotations.get(name)
        if annotation is not None and not isinstance(annotation, Mapping):
            raise RowError(f"the annotation {name!r} must be an object", "E-FORMAT-048")
        rating = _rating(Row(annotation or {}, ""), "Rating", 1, 5)
        if rating is not None:
            found.append(rating)
    return math.fsum(found) / len(found) if found else None


def _rating(row: Row, field: str, low: float, high: float) -> float | None:
    value = row.get(field)
    if value is None or (isinstance(value, str) and value.strip().upper() in NOT_RATED):
        return None
    try:
        number = math.nan if isinstance(value, bool) or not isinstance(value, (int, float, str)) else float(value)
    except (ValueError, OverflowError):
        number = math.nan
    if not low <= number <= high:
        raise RowError(
            f"{field!r} is {value!r}", "E-FORMAT-048", fix=f"it must be a number from {low:g} to {high:g}, or N/A"
        )
    return number
