"""Mixers that draw from each source at a rate: each gives only its rates."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from itune_core.api import Context, Inputs
from itune_mixers.drawing import draw_epochs, share_out
from itune_mixers.planned import Plan, PlannedMixer
from itune_mixers.sources import Sources, refuse_empty, shares


class RateMixer(PlannedMixer):
    """Draws `size` rows an epoch, of each source in proportion to :meth:`rates`.

    The counts are rounded by the method of largest remainders: they sum to `size`, and each is less than one row from
    its exact share. A source is drawn from without replacement: no row comes again before all of its source came, over
    all epochs, and within an epoch no row comes again before all of its source came in that epoch. The rows of an epoch
    are shuffled.
    """

    class Config(PlannedMixer.Config):
        """Settings of all mixers that draw at rates."""

        size: int | None = Field(
            None, ge=1, description="Rows to draw for an epoch; unset: as many as the sources count for."
        )
        epochs: int = Field(1, ge=1, description="How many times to draw; each epoch is drawn and shuffled anew.")

    def rates(self, sources: Sources) -> Sequence[float]:
        """A number for each source, at least 0; only their proportions matter."""
        raise TypeError(f"{type(self).__name__} must define rates()")

    def default_size(self, sources: Sources) -> int:
        """Rows of an epoch where `size` is unset."""
        return sum(sources.sizes)

    def counts(self, size: int, rates: Sequence[float], sources: Sources) -> list[int]:
        """The rows that each source gives to an epoch of `size` rows."""
        return share_out(size, rates)

    def plan(self, sources: Sources, inputs: Inputs, context: Context) -> Plan:
        """All epochs as one phase.

        Raises:
            DataError: ``E-MIX-001`` `size` is set and every source is empty; ``E-MIX-002`` a source without rows has a
                rate of its own.
        """
        rates = self.rates(sources)
        size = self.default_size(sources) if self.config.size is None else self.config.size
        asked = shares(rates)
        for number, (rows, share) in enumerate(zip(sources.sizes, asked, strict=True)):
            if share and not rows and size:
                refuse_empty(sources.named(number), share)
        counts = self.counts(size, rates, sources)
        return Plan(draw_epochs(sources.pools, counts, self.config.epochs, context.rng()), [asked])
