"""Two stages of training: much task data first, then a little chat with some of the first stage replayed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from itune_core.api import ComponentConfig, Context, DataError, Input, Inputs
from itune_mixers.drawing import draw_epochs, share_out, share_out_by_group
from itune_mixers.planned import Plan, PlannedMixer
from itune_mixers.sources import Sources, capped, shares

if TYPE_CHECKING:
    from itune_mixers.drawing import Places


class Stage(ComponentConfig):
    """Settings of one stage."""

    size: int | None = Field(
        default=None, ge=1, description="Rows of an epoch; unset: as many as its sources count for."
    )
    epochs: int = Field(default=1, ge=1, description="Epochs of this stage, each drawn and shuffled anew.")
    cap: int | None = Field(default=None, ge=1, description="K: the most rows a source counts for; unset: no cap.")


class Stages(PlannedMixer):
    r"""Train on the sources of `first`, then on those of `second` with some rows of the first stage replayed.

    The draws are two phases, which a trainer follows in order. Phase 0 draws from `first` alone, phase 1 at the share
    :math:`1-\rho` from `second` and at the share :math:`\rho`, the setting `replay`, from what was drawn in phase 0.
    Within a stage, source :math:`m` of :math:`e_m` rows is drawn from at the rate
    :math:`\min(e_m, K)/\sum_n \min(e_n, K)` with the stage's cap :math:`K`; what is replayed, in the proportions in
    which phase 0 drew it.

    An epoch of a phase has `size` rows; unset, in phase 0 the sum of :math:`\min(e_n, K)`, and in phase 1 that of its
    own sources by :math:`1-\rho`, so that each of their rows comes once. Rows are drawn without replacement, within an
    epoch and over all of a phase, and shuffled. A stage whose sources are all empty is an error (``E-MIX-007``).

    Source: the survey arXiv:2303.18223, section 5.1 (multi-stage instruction tuning).
    """

    inputs = {"first": Input(many=True), "second": Input(many=True)}

    class Config(PlannedMixer.Config):
        first: Stage = Field(Stage(), description="How the first stage, phase 0, is drawn.")
        second: Stage = Field(Stage(), description="How the second stage, phase 1, is drawn.")
        replay: float = Field(
            0.1, ge=0, lt=1, description="Share of the rows of the second stage that are rows of the first, once more."
        )

    def plan(self, sources: Sources, inputs: Inputs, context: Context) -> Plan:
        """Both phases.

        Raises:
            DataError: ``E-MIX-007`` a stage has no rows.
        """
        import numpy as np

        first, second = (self._rates(sources, name) for name in ("first", "second"))
        counts = share_out(self.config.first.size or sum(first), first)
        large = draw_epochs(sources.pools, counts, self.config.first.epochs, context.rng("first"))
        seen = np.unique(np.concatenate([block.places for block in large]))

        replay = self.config.replay
        asked = [replay * again + (1 - replay) * new for again, new in zip(shares(counts), shares(second), strict=True)]
        size = self.config.second.size or round(sum(second) / (1 - replay))
        counts = share_out_by_group(size, asked, list(sources.of.values()))
        small = draw_epochs(_pools(sources, seen), counts, self.config.second.epochs, context.rng("second"), phase=1)
        return Plan([*large, *small], [shares(first), asked])

    def _rates(self, sources: Sources, name: str) -> list[int]:
        """A number for each source: what it counts for in this stage; 0 for those of the other."""
        stage: Stage = getattr(self.config, name)
        counts = capped(sources.sizes, stage.cap)
        rates = [count if number in sources.of[name] else 0 for number, count in enumerate(counts)]
        if not any(rates):
            raise DataError(
                "E-MIX-007",
                f"the stage {name!r} has no rows",
                fix="look at what the steps before dropped (itune ledger)",
            )
        return rates


def _pools(sources: Sources, seen: Places) -> Sequence[Places]:
    """What the second stage draws from: of the sources of `first`, only what was drawn."""
    owners = sources.owners(seen)
    return [
        seen[owners == number] if number in sources.of["first"] else pool for number, pool in enumerate(sources.pools)
    ]
