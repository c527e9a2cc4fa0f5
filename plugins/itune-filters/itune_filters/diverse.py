"""Keep the best records that are unlike each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from itune_core.api import (
    ComponentConfig,
    Context,
    Drop,
    Failed,
    Filter,
    Inputs,
    Keep,
    ModelRef,
    Part,
    ScoreColumn,
    embedded,
    hookimpl,
    records,
)
from itune_filters.likeness.kept import Kept
from itune_filters.scores.columns import number, spelt_apart
from itune_filters.scores.selecting import figures

if TYPE_CHECKING:
    import datasets

BLOCK = 256
"""Records that are embedded and compared at a time, so that at most so many are embedded in vain."""


class Diverse(Filter):
    """Go through the records from the highest score down, and keep each that is not too similar to one kept before.

    The first is always kept. Another is kept if the cosine of its embedded text to that of every record kept so far is
    at most `threshold`; nobody is compared with what was dropped. Of equal scores the record that stands first comes
    first. Once `size` records are kept, the others are not looked at: a few hundred may be embedded ahead, but one that
    cannot be embedded is dropped like the rest. The kept ones stay in the order they had. Which they are depends on all
    records, and among equal scores on their order.

    Vectors are kept in the journal, so that another threshold or score embeds nothing again.

    Dropped: ``too-similar``, with the id of the most similar record kept before it and the cosine; ``beyond-size``,
    with its rank. A record fails whose score is missing or no number (``E-FILTER-010``, ``E-FILTER-011``), and one that
    is looked at and lacks the text to embed (``E-DATA-037``, ``E-DATA-038``), or that the model cannot embed.

    Source: DEITA, arXiv:2312.15685, section 2.4, with its threshold; its score is the product of complexity and
    quality, its vectors are of LLaMA-1 13B.
    """

    class Config(ComponentConfig):
        by: ScoreColumn = Field(description="The score column; highest first.", examples=["score.evol_score"])
        model: ModelRef = Field(description="The embedding model.", examples=["minilm"])
        on: Part = Field(
            "all",
            description="What is embedded: the prompt and the answers, or one of them; of a text record, its text. "
            "System turns are left out.",
        )
        first_characters: int | None = Field(
            None,
            ge=1,
            description="Embed only the first so many characters of a text; unset: all of it, and a record whose text "
            "is longer than the model reads fails.",
        )
        threshold: float = Field(
            0.9, gt=0, lt=1, description="Largest cosine to a kept record with which another is kept."
        )
        size: int | None = Field(None, ge=1, description="Stop once so many are kept; unset: go through all.")

    def reads(self) -> Sequence[str]:
        return (self.config.by,)

    @hookimpl
    def itune_filter(self, inputs: Inputs, context: Context) -> Iterator[Keep | Drop | Failed]:
        # The hook itself: a verdict depends on all records with a higher score.
        import numpy as np

        rows, config = inputs["records"], self.config
        scored = figures(rows, [config.by], lambda record: number(record, config.by))
        order = sorted(scored.known, key=lambda row: -scored.known[row])  # stable: of equal ones the first
        verdicts: dict[int, Keep | Drop | Failed] = dict(scored.failed)
        size = config.size or len(order)
        before, kept = Kept(config.threshold), list[int]()
        for start in range(0, len(order), BLOCK):
            if len(kept) == size:
                break
            block = order[start : start + BLOCK]
            answered = list(self._vectors(rows.select(block), context))
            offered = [found for found in answered if not isinstance(found, Failed)]
            near = iter(before.offer(np.stack(offered)) if offered else ())
            for row, found in zip(block, answered, strict=True):
                if len(kept) == size:
                    break
                if isinstance(found, Failed):
                    verdicts[row] = found
                elif (neighbour := next(near)) is None:
                    kept.append(row)
                    verdicts[row] = Keep()
                else:
                    cosine, most = spelt_apart(neighbour.cosine, config.threshold)
                    detail = f"cosine {cosine} to {scored.ids[kept[neighbour.number]]}, at most {most} is kept"
                    verdicts[row] = Drop("too-similar", detail)
        for rank, row in enumerate(order, start=1):
            verdicts.setdefault(row, Drop("beyond-size", f"rank {rank} by {config.by}, and {size} are kept before it"))
        return (verdicts[row] for row in range(len(rows)))

    def _vectors(self, rows: datasets.Dataset, context: Context) -> Iterator[Any]:
        on, first_characters = self.config.on, self.config.first_characters
        return embedded(records(rows), context, model=self.config.model, on=on, first_characters=first_characters)
