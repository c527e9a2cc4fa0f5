"""DEITA's way to have a model rate: the digit that it would most likely write, as an expected value."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from typing import Any, NamedTuple

from pydantic import Field

from itune_core.api import Record, Scorer
from itune_scorers.asking.options import weigh
from itune_scorers.asking.prompting import PromptConfig, Prompted
from itune_scorers.asking.turns import Exchange, answered, exchanges

DIGITS = ("1", "2", "3", "4", "5", "6")


class Rating(NamedTuple):
    """The expected digit, from 1 to 6, and the probability that the answer begins with one of the six."""

    value: float
    mass: float


class Rated(Prompted, Scorer):
    """What a model that is asked for a digit makes of each turn of a user.

    A subclass names the question (`template`) and what it may mention (`gives`): ``query``, the text of the turn;
    ``response``, that of the answer to it.
    """

    columns = {"": "float64", "mass": "float64", "turns": "int64"}

    class Config(PromptConfig):
        max_length: int = Field(
            2048, ge=2, description="Most tokens of the question, the record's text in it; a longer one fails."
        )

    def rate(self, exchange: Exchange) -> Generator[Any, Any, Rating]:
        """Ask for the digit of one turn; use with ``yield from``.

        Raises:
            DataError: ``E-DATA-035`` the prompt cannot be used.
            RowError: ``E-DATA-033`` it cannot be rendered; ``E-SCORE-025`` the model says nothing of a digit; and what
                the backend says of rows it cannot answer.
        """
        asked = self.asked(query=exchange.query, response=exchange.response)
        shares, mass = yield from weigh(self.config.model, asked, DIGITS, self.config.max_length)
        return Rating(math.fsum(share * int(digit) for share, digit in zip(shares, DIGITS, strict=True)), mass)

    def score(self, record: Record) -> Generator[Any, Any, Mapping[str, Any]]:
        """Ask for a digit, turn by turn.

        Raises:
            DataError: as :meth:`rate`.
            RowError: as :meth:`rate`; ``E-SCORE-023`` a turn has no answer, and the question mentions it;
                ``E-SCORE-024`` no user speaks.
        """
        ratings: list[Rating] = []
        for exchange in (answered if "response" in self.gives else exchanges)(record):
            ratings.append((yield from self.rate(exchange)))
        return {
            "": math.fsum(rating.value for rating in ratings) / len(ratings),
            "mass": min(rating.mass for rating in ratings),
            "turns": len(ratings),
        }
