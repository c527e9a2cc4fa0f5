"""Shares of families of data: NLP tasks, chat, synthetic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, field_validator

from itune_core.api import DataError, Input
from itune_mixers.rates import RateMixer
from itune_mixers.sources import Sources, capped, refuse_empty, shares


class Families(RateMixer):
    r"""Draw from each family of sources at a share that you set; within a family, in proportion to size.

    The families are the inputs `nlp` (formatted NLP tasks), `chat` (what people asked and were answered) and
    `synthetic` (what a model wrote), each of any number of sources: ``from: {nlp: [superni, flan], chat: oasst}``. With
    :math:`w_f` the share of family :math:`f`, source :math:`m` of it is drawn from at the rate

    .. math:: p_m = \frac{w_f}{\sum_g w_g} \cdot \frac{\min(e_m, K)}{\sum_{n \in f} \min(e_n, K)}

    with :math:`e_m` its rows and :math:`K` the cap. An epoch has `size` rows; unset, the sum of :math:`\min(e_n, K)`
    over the families with a share. An empty source has the rate 0, and the others of its family make up for it; a
    family that has a share and no rows at all is an error (``E-MIX-002``). So is (``E-MIX-006``) a share for a family
    that is not given, or a family that is given and has no share. Each family may be left out.

    Source: the three families are those of the survey arXiv:2303.18223, section 5.1, which finds a mix of all better
    than any alone.
    """

    inputs = {
        "nlp": Input(many=True, required=False),
        "chat": Input(many=True, required=False),
        "synthetic": Input(many=True, required=False),
    }

    class Config(RateMixer.Config):
        shares: dict[Literal["nlp", "chat", "synthetic"], Annotated[float, Field(ge=0)]] = Field(
            min_length=1,
            description="The share of each family that is given, in parts of their sum; 0: nothing.",
            examples=[{"nlp": 1.0}],
        )
        cap: int | None = Field(None, ge=1, description="K: the most rows a source counts for; unset: no cap.")

        @field_validator("shares")
        @classmethod
        def _something_is_drawn(cls, value: dict[str, float]) -> dict[str, float]:
            if not sum(value.values()):
                raise ValueError("one share must be above 0")
            return value

    def rates(self, sources: Sources) -> Sequence[float]:
        self._check(sources)
        rates = [0.0] * len(sources.sizes)
        of_all = dict(zip(self.config.shares, shares(list(self.config.shares.values())), strict=True))
        for family, share in of_all.items():
            numbers = sources.of[family]
            within = shares(self._counts(sources, family))
            if share and not any(within) and any(sources.sizes):
                refuse_empty(f"the family {family!r}", share)
            for number, rate in zip(numbers, within, strict=True):
                rates[number] = share * rate
        return rates

    def default_size(self, sources: Sources) -> int:
        return sum(sum(self._counts(sources, family)) for family, share in self.config.shares.items() if share)

    def _counts(self, sources: Sources, family: str) -> list[int]:
        return capped((sources.sizes[number] for number in sources.of[family]), self.config.cap)

    def _check(self, sources: Sources) -> None:
        given = {family for family, numbers in sources.of.items() if len(numbers)}
        unlike = sorted(given ^ self.config.shares.keys())
        if unlike:
            family = unlike[0]
            raise DataError(
                "E-MIX-006",
                f"the family {family!r} is given and has no share"
                if family in given
                else f"the family {family!r} has a share and is not given",
                fix=f"set shares.{family}; 0 to leave it out"
                if family in given
                else f"name its sources, `from: {{{family}: STEP}}`, or remove shares.{family}",
            )
