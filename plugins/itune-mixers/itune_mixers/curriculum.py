"""From easy to hard."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from itune_core.api import Context, Inputs, ScoreColumn
from itune_mixers.drawing import Block, passes, share_out, shuffled
from itune_mixers.pacing import Pacing, available
from itune_mixers.planned import Plan, PlannedMixer
from itune_mixers.scores import read_scores
from itune_mixers.sources import Sources, shares

if TYPE_CHECKING:
    from itune_mixers.drawing import Places


class Curriculum(PlannedMixer):
    r"""Draw from the easiest rows first, and from harder ones as training goes on.

    The rows of all sources are put in order by a score: `ascending` begins with the lowest, `descending` with the
    highest; rows of equal score in random order. Training is cut into `steps` pacing steps of equal length, which are
    the phases. Step :math:`s` of :math:`S`, counted from 0, draws from the easiest

    .. math:: \lceil g(t) \cdot N \rceil, \quad t = s / (S - 1)

    of the :math:`N` rows, each with the same chance and none again before all of them came in this step. The pacing
    function :math:`g` begins at :math:`c_0`, which is `start`, and is 1 from :math:`t = a`, which is `full_at`, on:

    - ``linear``: :math:`c_0 + (1 - c_0)\,t/a`
    - ``root``: :math:`\sqrt{c_0^2 + (1 - c_0^2)\,t/a}`
    - ``step``: :math:`c_0` until :math:`a`

    Since easy rows are there longer, they come more often than hard ones, and in as many draws as there are rows not
    every row comes. There are `size` times `epochs` draws; `size` unset, as many as all sources have rows. The pacing
    runs once over all epochs, whose numbers count on every `size` draws. A row without a score is an error that names
    it (``E-MIX-005``).

    Source: Bengio et al., Curriculum learning, ICML 2009; the pacing functions from arXiv:1903.09848 (linear, root) and
    arXiv:1904.03626 (step). Whether a curriculum helps is open (arXiv:2012.03107): compare it with a shuffled mix.
    """

    class Config(PlannedMixer.Config):
        score: ScoreColumn = Field(
            description="The column that says how hard a row is: `score.STEP` or `score.STEP.PART` of any scorer.",
            examples=["score.length.response_words"],
        )
        order: Literal["ascending", "descending"] = Field(
            "ascending", description="Which end of the score is easy: the lowest comes first, or the highest."
        )
        pacing: Pacing = Field("linear", description="How the fraction of rows that may be drawn grows.")
        start: float = Field(0.2, gt=0, le=1, description="Fraction of the rows that may be drawn in the first step.")
        full_at: float = Field(
            0.5, gt=0, le=1, description="How far training is, 1 being its last step, when all rows may be drawn."
        )
        steps: int = Field(10, ge=2, description="Pacing steps; each is a phase of the mix.")
        size: int | None = Field(None, ge=1, description="Rows of an epoch; unset: as many as all sources have.")
        epochs: int = Field(1, ge=1, description="How many times `size` rows are drawn.")

    def reads(self) -> Sequence[str]:
        return (self.config.score,)

    def plan(self, sources: Sources, inputs: Inputs, context: Context) -> Plan:
        """A phase for each pacing step.

        Raises:
            DataError: ``E-MIX-001`` there are no rows; ``E-MIX-004``, ``E-MIX-005`` not all have a score.
        """
        ordered = self._ordered(sources, context)
        size = self.config.size or len(ordered)
        if size and not len(ordered):
            share_out(size, [])  # says that there is nothing to draw
        counts = share_out(size * self.config.epochs, [1] * self.config.steps)
        blocks: list[Block] = []
        asked = []
        done = 0
        for phase, count in enumerate(counts):
            pool = ordered[: self._available(phase, len(ordered))]
            asked.append(shares(sources.tally(pool)))
            if count:
                rng = context.rng("step", phase)
                drawn = shuffled(next(passes(pool, count, rng)), rng)
                blocks += _by_epoch(drawn, done, size, phase)
            done += count
        return Plan(blocks, asked)

    def _ordered(self, sources: Sources, context: Context) -> Places:
        """All places, the easiest first."""
        import numpy as np

        scores = read_scores(sources, self.config.score)
        hardness = scores if self.config.order == "ascending" else -scores
        places = shuffled(np.arange(len(scores)), context.rng("ties"))
        return places[hardness[places].argsort(kind="stable")]

    def _available(self, phase: int, rows: int) -> int:
        config = self.config
        fraction = available(config.pacing, config.start, config.full_at, phase / (config.steps - 1))
        # rounded so that 0.3 of 10 rows are 3, not 4
        return max(1, math.ceil(round(fraction * rows, 9)))


def _by_epoch(drawn: Places, done: int, size: int, phase: int) -> Iterator[Block]:
    """The draws number `done` and following, cut where an epoch of `size` draws ends."""
    ends = range((done // size + 1) * size, done + len(drawn), size)
    for start, stop in pairwise([done, *ends, done + len(drawn)]):
        yield Block(drawn[start - done : stop - done], phase, start // size)
