"""UltraFeedback as rankings: the answers of several models to one instruction, by their ratings."""

from __future__ import annotations

from itune_core.api import Drop, Kind, Record, Row, message, ranking
from itune_formatters.preferences.ratings import RatingFormatter


class UltraFeedback(RatingFormatter):
    """UltraFeedback, one ranking a row.

    Fields: `instruction` and `completions`, a list of ``{model, response, annotations, overall_score, ...}`` with
    ``{Rating: ...}`` for each of the four aspects among the annotations; ratings may be text. Candidates stand in the
    order of the row with their model and score. All else is kept in ``meta``: the completions without their responses,
    `principle` and `custom_system_prompt` among it, which the model that answered was given and the prompt does not
    show.

    Of a row's answers are left out, and counted in ``meta`` under ``left_out``: ``not-rated`` (no rating that applies),
    ``empty-output``, and ``suspect``: the first edition multiplied overall scores of at most 1 by 10, so that 2,628 of
    the worst answers had the best score. Later editions corrected them.

    Dropped: ``too-few-candidates`` (fewer than two answers are left), ``empty-prompt``.

    Source: arXiv:2310.01377, https://github.com/OpenBMB/UltraFeedback (MIT).
    """

    produces = Kind.RANKING

    def format(self, row: Row) -> Record | Drop:
        found = self.comparison(row)
        if isinstance(found, Drop):
            return found
        candidates = [
            {"completion": [message("assistant", item.response)], "model": item.model, "score": item.score}
            for item in found.rated
        ]
        return ranking([message("user", found.instruction)], candidates, **found.common())
