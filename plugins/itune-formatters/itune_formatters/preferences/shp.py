"""Stanford Human Preferences: two comments under a post, of which one got more votes although it came later."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from itune_core.api import Drop, Failed, Kind, Record, Row, RowError, message, preference
from itune_formatters.groups import GroupFormatter, Outcome
from itune_formatters.rest import rest


class SHP(GroupFormatter):
    """SHP rows, one preference for each pair of comments that the votes decide.

    Fields: `history` (the post, which is the prompt), `human_ref_A` and `human_ref_B` (the comments), `labels` (1: A is
    preferred), `score_A` and `score_B` (net votes), `created_at_utc_A` and `created_at_utc_B` (seconds); `post_id`
    where pairs per post are limited. All else is kept in ``meta``, these numbers too; `domain` is also the `category`.

    A comment is preferred if it has more votes although it was written no earlier, for the earlier one was seen by more
    people; the other way round the votes say nothing. The published rows keep to this rule; other collections of this
    shape are held to it.

    With `pairs_per_post` the pairs kept of a post are drawn by their content and the seed: their order in the files
    decides nothing. The pairs of a post may stand anywhere; memory is said in :mod:`itune_formatters.groups`.

    Dropped: ``not-higher`` (the preferred comment has no more votes than the other), ``not-later`` (it was written
    earlier), ``ratio-too-small``, ``empty-prompt``, ``empty-output``, ``equal-responses``, ``enough-pairs`` (the post
    has given its pairs).

    Source: https://huggingface.co/datasets/stanfordnlp/SHP, arXiv:2110.08420 (the rule is the card's summary).
    """

    produces = Kind.PREFERENCE

    class Config(GroupFormatter.Config):
        min_ratio: float = Field(
            1.0, ge=1.0, description="Least ratio of the votes of the two comments; 2 is usual for training."
        )
        pairs_per_post: int | None = Field(
            None, ge=1, description="Most pairs taken of one post, 5 is usual for training; unset: all."
        )

    @property
    def grouped(self) -> bool:
        return self.config.pairs_per_post is not None

    def group(self, row: Row) -> str:
        return row.text("post_id")

    def format_group(self, rows: Sequence[Row]) -> Sequence[Sequence[Outcome]]:
        made = [self._pair(row) for row in rows]
        limit = self.config.pairs_per_post
        if limit is not None:
            pairs = [number for number, outcome in enumerate(made) if isinstance(outcome, Record)]
            lots = {number: self.rng(rows[number], "pairs-per-post").random() for number in pairs}
            for number in sorted(pairs, key=lambda number: lots[number])[limit:]:
                made[number] = Drop("enough-pairs", f"{len(pairs)} pairs of the post {rows[number]['post_id']}")
        return [[outcome] for outcome in made]

    def _pair(self, row: Row) -> Record | Drop | Failed:
        try:
            return self._preference(row)
        except RowError as error:
            return Failed.of(error)

    def _preference(self, row: Row) -> Record | Drop:
        label = row.get("labels")
        if type(label) is not int or label not in (0, 1):
            raise RowError(f"'labels' is {label!r}", "E-FORMAT-047", fix="it must be 1 (A is preferred) or 0")
        better, worse = ("A", "B") if label == 1 else ("B", "A")
        history = row.text("history")
        chosen, rejected = row.text(f"human_ref_{better}"), row.text(f"human_ref_{worse}")
        score, other = _number(row, f"score_{better}"), _number(row, f"score_{worse}")
        seconds = _number(row, f"created_at_utc_{better}") - _number(row, f"created_at_utc_{worse}")
        if score <= other:
            return Drop("not-higher", f"{score:g} votes, and {other:g}")
        if seconds < 0:
            return Drop("not-later", f"{-seconds:g} s earlier")
        if score < self.config.min_ratio * other:
            return Drop("ratio-too-small", f"{score:g} : {other:g}")
        if not history.strip():
            return Drop("empty-prompt")
        for name, text in ((better, chosen), (worse, rejected)):
            if not text.strip():
                return Drop("empty-output", name)
        if chosen.strip() == rejected.strip():
            return Drop("equal-responses")
        common = rest(row, "history", "human_ref_A", "human_ref_B")
        if row.text("domain", ""):
            common.setdefault("category", row.text("domain"))
        turns = [
            [message(role, text)] for role, text in (("user", history), ("assistant", chosen), ("assistant", rejected))
        ]
        return preference(*turns, **common)


def _number(row: Row, field: str) -> float:
    value = row.get(field)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise RowError(f"field {field!r} must be a number, not {type(value).__name__}", "E-FORMAT-047")
    try:
        return float(value)
    except OverflowError as error:
        raise RowError(f"field {field!r} is too large", "E-FORMAT-047") from error
