"""Keep the best records that are unlike each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from pydantic import Field

from itune_core.api import ComponentConfig, Context, Drop, Failed, Filter, Inputs, Keep, ModelRef, hookimpl
from itune_filters.columns import COLUMN, number, spelt_apart
from itune_filters.compared import Part
from itune_filters.embedding import embedded
from itune_filters.kept import Kept
from itune_filters.selecting import figures

BLOCK = 256
"""Records that are embedded and compared at a time: what the engine asks a model at once."""


class Diverse(Filter):
    """Go through the records from the highest score down, and keep each that is not too similar to one kept before.

    The first is always kept. Another is kept if the cosine of its embedded text to that of every record kept so far is
    at most `threshold`; nobody is compared with what was dropped. Of equal scores the record that stands first comes
    first. Once `size` records are kept, the others are not even embedded. The kept ones stay in the order they had.
    Which they are depends on all records, and among equal scores on their order.

    Vectors are kept in the journal, so that another threshold or score embeds nothing again.

    Dropped: ``too-similar``, with the id of the most similar record kept before it and the cosine; ``beyond-size``,
    with its rank. A record fails whose score is missing or no number (``E-FILTER-010``, ``E-FILTER-011``), that lacks
    the text to embed (``E-FILTER-002``, ``E-FILTER-040``), or that the model cannot embed.

    Source: DEITA, arXiv:2312.15685, section 2.4, with its threshold; its score is the product of complexity and
    quality, its vectors are of LLaMA-1 13B.
    """

    class Config(ComponentConfig):
        by: str = Field(pattern=COLUMN, description="The score column; highest first.", examples=["score.evol_score"])
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
        vectors = embedded(
            rows.select(order), context, model=config.model, on=config.on, first_characters=config.first_characters
        )
        verdicts: dict[int, Keep | Drop | Failed] = dict(scored.failed)
        size = config.size or len(order)
        before, kept = Kept(config.threshold), list[int]()
        answered = zip(order, vectors, strict=True)
        while len(kept) < size and (block := list(islice(answered, BLOCK))):
            verdicts.update((row, found) for row, found in block if isinstance(found, Failed))
            offered = [(row, found) for row, found in block if not isinstance(found, Failed)]
            if not offered:
                continue
            near = before.offer(np.stack([found for _, found in offered]))
            for (row, _), neighbour in zip(offered, near, strict=True):
                if len(kept) == size:
                    break
                if neighbour is None:
                    kept.append(row)
                    verdicts[row] = Keep()
                else:
                    cosine, most = spelt_apart(neighbour.cosine, config.threshold)
                    detail = f"cosine {cosine} to {scored.ids[kept[neighbour.number]]}, at most {most} is kept"
                    verdicts[row] = Drop("too-similar", detail)
        for rank, row in enumerate(order, start=1):
            verdicts.setdefault(row, Drop("beyond-size", f"rank {rank} by {config.by}, and {size} are kept before it"))
        return (verdicts[row] for row in range(len(rows)))
