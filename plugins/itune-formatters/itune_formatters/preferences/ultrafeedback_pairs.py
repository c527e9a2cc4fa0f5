"""UltraFeedback as preferences: pairs of answers to one instruction with different ratings."""

from __future__ import annotations

from pydantic import Field

from itune_core.api import Drop, Kind, Record, Row, message, preference
from itune_formatters.preferences.pairing import PAIRING, Pairing, pair
from itune_formatters.preferences.ratings import RatingFormatter


class UltraFeedbackPairs(RatingFormatter):
    """UltraFeedback, one or more preferences a row.

    Reads and scores what ``formatters/ultrafeedback`` does, and leaves out the same answers. ``margin`` is the
    difference of the two scores; ``meta`` also names the two models, ``{"pair": [chosen, rejected]}``.

    Dropped: ``too-few-candidates`` (fewer than two answers are left), ``equal-scores`` (all answers have the same),
    ``equal-responses`` (what would be compared is the same text), ``empty-prompt``.

    Source: arXiv:2310.01377, https://github.com/OpenBMB/UltraFeedback (MIT).
    """

    produces = Kind.PREFERENCE

    class Config(RatingFormatter.Config):
        pairs: Pairing = Field("best-random", description=PAIRING)

    def format(self, row: Row) -> Drop | list[Record]:
        found = self.comparison(row)
        if isinstance(found, Drop):
            return found
        rated = found.rated
        pairs = pair([item.score for item in rated], self.config.pairs, self.rng(row, "pairs"))
        if not pairs:
            return Drop("equal-scores")
        different = [(rated[better], rated[worse]) for better, worse in pairs]
        different = [(chosen, rejected) for chosen, rejected in different if chosen.response != rejected.response]
        if not different:
            return Drop("equal-responses")
        return [
            preference(
                [message("user", found.instruction)],
                [message("assistant", chosen.response)],
                [message("assistant", rejected.response)],
                margin=chosen.score - rejected.score,
                **found.common(pair=[chosen.model, rejected.model]),
            )
            for chosen, rejected in different
        ]
