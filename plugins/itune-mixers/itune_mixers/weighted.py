"""Fixed shares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, field_validator

from itune_core.api import DataError
from itune_mixers.rates import RateMixer
from itune_mixers.sources import Sources


class Weighted(RateMixer):
    r"""Draw from each source at a share that you set.

    With :math:`w_m` the number at the source's place in `shares`, it is drawn from at the rate

    .. math:: p_m = \frac{w_m}{\sum_n w_n}

    whatever its size: a source that is asked for more rows than it has is repeated, and the report says so. An epoch
    has `size` rows; unset, as many as the sources with a share have.

    The FLAN 2022 collection, for one, is mixed ``shares: [0.40, 0.32, 0.20, 0.05, 0.03]`` of Flan 2021, T0 without what
    Flan has, Super-NaturalInstructions, chain of thought, and dialogue.

    It is an error (``E-MIX-003``) if there are not as many shares as sources, and (``E-MIX-002``) if a source that has
    a share is empty: leaving it out would make another mix than the one asked for.

    Source: the FLAN 2022 collection, arXiv:2301.13688; its shares are those of ``flan/v2/run_example.py`` in
    google-research/FLAN.
    """

    class Config(RateMixer.Config):
        shares: list[Annotated[float, Field(ge=0)]] = Field(
            min_length=1,
            description="The share of each source, by its place in `from`, in parts of their sum; 0: nothing.",
            examples=[[0.8, 0.2]],
        )

        @field_validator("shares")
        @classmethod
        def _something_is_drawn(cls, value: list[float]) -> list[float]:
            if not sum(value):
                raise ValueError("one share must be above 0")
            return value

    def rates(self, sources: Sources) -> Sequence[float]:
        given, wanted = len(self.config.shares), len(sources.sizes)
        if given != wanted:
            raise DataError(
                "E-MIX-003",
                f"there are {given} shares for {wanted} sources",
                why="shares go by place: the first is of the first source in `from`",
                fix="give one share for each; 0 where nothing is to be drawn",
            )
        shares: Sequence[float] = self.config.shares
        return shares

    def default_size(self, sources: Sources) -> int:
        return sum(rows for rows, share in zip(sources.sizes, self.config.shares, strict=True) if share)
