"""Random mixtures, to learn what makes a data set good."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from itune_core.api import Context, DataError, Inputs
from itune_mixers.drawing import draw_epochs, share_out
from itune_mixers.planned import Plan, PlannedMixer
from itune_mixers.sources import Sources, shares


class Fusion(PlannedMixer):
    r"""Draw one of many random mixtures of the sources, all of the same size.

    Each source gets a random weight :math:`r_i`, uniform between 0 and 1, and is asked for

    .. math:: \mathit{size} \cdot \frac{r_i}{\sum_j r_j}

    rows, drawn without replacement. `number` says which mixture: mixture 7 of a seed is the same whether or not others
    are drawn, so that a matrix over `number` makes as many as are wanted, from one seed::

        mix: {uses: mixers/fusion, from: [alpaca, dolly, lima], with: {number: "${matrix.mixture}"}}
        matrix: {mixture: [0, 1, 2, 3]}

    A source that has fewer rows than it is asked for gives all it has, and the others make up for it in proportion to
    their weights; the report shows what was asked and what was drawn. So every mixture has `size` different rows: what
    a model learns from it is compared with others, and their size must not differ. If all sources together have fewer,
    it is an error (``E-MIX-008``).

    Source: InstructMining, arXiv:2307.06290 (v1: 78 mixtures of 2,000 rows). What it does with a source that is too
    small, the paper does not say.
    """

    class Config(PlannedMixer.Config):
        size: int = Field(2000, ge=1, description="Rows of the mixture.")
        number: int = Field(0, ge=0, description="Which of the mixtures of this seed.")

    def plan(self, sources: Sources, inputs: Inputs, context: Context) -> Plan:
        """One phase, one epoch.

        Raises:
            DataError: ``E-MIX-008`` there are fewer rows than the mixture is to have.
        """
        rows, size = sum(sources.sizes), self.config.size
        if rows < size:
            raise DataError(
                "E-MIX-008",
                f"a mixture of {size} different rows cannot be drawn from {rows}",
                fix=f"set size: {rows} or less, or add sources",
            )
        rng = context.rng("mixture", self.config.number)
        weights = [1 - rng.random() for _ in sources.sizes]  # in (0, 1]: no sum of them is 0
        counts = fill(size, weights, sources.sizes)
        return Plan(draw_epochs(sources.pools, counts, 1, rng), [shares(weights)])


def fill(size: int, weights: Sequence[float], rows: Sequence[int]) -> list[int]:
    """`size` rows in proportion to `weights`, from no source more than it has.

    Sources that are asked for more than they have give all, and the rest is shared out among the others, until none is
    asked for too much. There must be `size` rows, and no weight 0.
    """
    counts = [0] * len(rows)
    free = set(range(len(rows)))
    while True:
        left = size - sum(counts[number] for number in range(len(rows)) if number not in free)
        asked = share_out(left, [weight if number in free else 0 for number, weight in enumerate(weights)])
        short = {number for number in free if asked[number] > rows[number]}
        if not short:
            return [asked[number] if number in free else counts[number] for number in range(len(rows))]
        for number in short:
            counts[number] = rows[number]
        free -= short
