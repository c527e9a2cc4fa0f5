"""The scorers of text alone keep to the contract that all scorers keep to."""

from __future__ import annotations

from typing import ClassVar

from itune_core.api import Kind
from itune_core.testing import ScorerConformance, samples


class TestLengthInTokens(ScorerConformance):
    component = "scorers/length"
    config: ClassVar = {"model": "tiny"}


class TestLengthByTheLanguageOfEachRecord(ScorerConformance):
    component = "scorers/length"
    config: ClassVar = {"language": "record"}


class TestMtld(ScorerConformance):
    component = "scorers/mtld"
    config: ClassVar = {"of": "total"}
    rows = samples(Kind.RANKING)


class TestMtldByTheLanguageOfEachRecord(ScorerConformance):
    component = "scorers/mtld"
    config: ClassVar = {"of": "total", "language": "record"}
    rows = samples(Kind.TEXT)
