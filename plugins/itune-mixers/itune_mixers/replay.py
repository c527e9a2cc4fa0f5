"""Some pre-training text among the records."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from itune_core.api import Input, Kind
from itune_mixers.drawing import share_out_by_group
from itune_mixers.rates import RateMixer
from itune_mixers.sources import Sources, refuse_empty, shares


class Replay(RateMixer):
    r"""Replay pre-training text: a set share of the rows is plain text, every token of which is trained on.

    With :math:`s` the share, :math:`e_m` the rows of source :math:`m` and :math:`N` those of all sources of its input,
    a source of `records` is drawn from at the rate :math:`(1-s)\,e_m/N`, and one of `text` at :math:`s\,e_m/N`. The
    share is of rows; what it comes to in tokens, `tokens_of` tells.

    Records and text are shuffled together, so text is spread over the whole epoch. An epoch has `size` rows; unset,
    every record once and as much text as makes the share: :math:`N/(1-s)` rows. Text is drawn without replacement, goes
    on where the epoch before stopped, and starts over when it ran out, which the report says. An input whose share is
    above 0 and that has no rows is an error (``E-MIX-002``).

    Source: the survey arXiv:2303.18223, section 5.1, on pre-training data as a regulariser of instruction tuning.
    """

    mixes_kinds = True
    inputs = {"records": Input((Kind.CONVERSATION,), many=True), "text": Input((Kind.TEXT,), many=True)}

    class Config(RateMixer.Config):
        share: float = Field(0.05, ge=0, lt=1, description="Share of the rows that is replayed text.")

    def rates(self, sources: Sources) -> Sequence[float]:
        rates: list[float] = []
        for name, share in (("records", 1 - self.config.share), ("text", self.config.share)):
            within = shares([sources.sizes[number] for number in sources.of[name]])
            if share and not any(within) and any(sources.sizes):
                refuse_empty(f"the input {name!r}", share)
            rates += [share * rate for rate in within]
        return rates

    def default_size(self, sources: Sources) -> int:
        records = sum(sources.sizes[number] for number in sources.of["records"])
        return round(records / (1 - self.config.share))

    def counts(self, size: int, rates: Sequence[float], sources: Sources) -> list[int]:
        """By input first: otherwise a record could come twice before all text came that makes the share."""
        return share_out_by_group(size, rates, list(sources.of.values()))
