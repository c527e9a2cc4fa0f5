"""One layer of the rows, sorted by a score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from pydantic import Field, model_validator

from itune_core.api import Context, DataError, Inputs, ScoreColumn
from itune_mixers.drawing import Block, share_out, shuffled
from itune_mixers.planned import Plan, PlannedMixer
from itune_mixers.scores import read_scores
from itune_mixers.sources import Sources, shares


class Stratum(PlannedMixer):
    """Draw from one of so many layers of the rows, sorted by a score: what does a model learn from the highest?

    The rows of all sources are put in order, the highest score first, rows of equal score in random order, and cut into
    `strata` layers of as many rows each (the earlier ones have one more where it does not come out even). From layer
    `number`, counted from 0, `size` different rows are drawn, or all of it; shuffled. All layers of a seed share one
    order, so that no row is in two of them; a matrix over `number` makes them all::

        layer: {uses: mixers/stratum, from: [alpaca, dolly], with: {score: score.ppl.mean_nll, number: "${matrix.n}"}}
        matrix: {n: [0, 1, 2, 3, 4, 5, 6, 7]}

    A layer with fewer rows than `size` is an error (``E-MIX-030``), as is a row without a score (``E-MIX-005``).

    Source: the univariate study of InstructMining, arXiv:2307.06290 (v1: eight strata, sorted in descending order).
    """

    class Config(PlannedMixer.Config):
        score: ScoreColumn = Field(
            description="The column to sort by: `score.STEP` or `score.STEP.PART` of any scorer.",
            examples=["score.length.response_words"],
        )
        strata: int = Field(8, ge=2, description="Into how many layers the rows are cut.")
        number: int = Field(0, ge=0, description="Which of them to draw from; 0 has the highest scores.")
        size: int | None = Field(None, ge=1, description="Rows to draw; unset: all of the layer.")

        @model_validator(mode="after")
        def _is_one_of_them(self) -> Self:
            if self.number >= self.strata:
                raise ValueError(f"number is {self.number}; {self.strata} strata are numbered 0 to {self.strata - 1}")
            return self

    def reads(self) -> Sequence[str]:
        return (self.config.score,)

    def plan(self, sources: Sources, inputs: Inputs, context: Context) -> Plan:
        """One phase, one epoch.

        Raises:
            DataError: ``E-MIX-004``, ``E-MIX-005`` not all rows have a score; ``E-MIX-030`` the layer has too few.
        """
        import numpy as np

        config = self.config
        scores = read_scores(sources, config.score)
        places = shuffled(np.arange(len(scores)), context.rng("ties"))
        ordered = places[(-scores[places]).argsort(kind="stable")]
        sizes = share_out(len(ordered), [1] * config.strata)
        start = sum(sizes[: config.number])
        layer = ordered[start : start + sizes[config.number]]
        size = config.size or len(layer)
        if size > len(layer) or not size:
            raise DataError(
                "E-MIX-030",
                f"{size or 'no'} rows cannot be drawn from stratum {config.number}, which has {len(layer)}",
                why=f"{len(ordered)} rows are cut into {config.strata} strata",
                fix="set a smaller size, cut fewer strata, or add sources",
            )
        drawn = shuffled(layer, context.rng("stratum", config.number))[:size]
        return Plan([Block(drawn)], [shares(sources.tally(layer))])
