"""The scorers that embed keep to the contract that all scorers keep to."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from itune_core.api import Embed, Failed, Kind, Reply, Request, Vectors
from itune_core.testing import ScorerConformance
from itune_core.testing.tried import RowSubject


def by_hash(request: Request) -> Reply | Failed:
    """Vectors that depend on the text alone, and that look like nothing."""
    assert isinstance(request, Embed)
    drawn = [np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8) - 127.5 for text in request.texts]
    return Vectors([(vector / np.linalg.norm(vector)).tolist() for vector in drawn])


class WithTarget(RowSubject):
    """The target is one of the rows. It is asked about first, and the kit refuses to answer for the second, a row:
    a target that cannot be embedded is an error."""

    def inputs(self, positions: Sequence[int] | None, kind: Kind) -> dict[str, list[Any]]:
        found = super().inputs(positions, kind)
        found["target"] = [self.view(kind).select(np.array([3]))]
        return found


class TestKnn(ScorerConformance):
    component = "scorers/knn"
    config = {"model": "minilm", "neighbour": 3}
    scope = "whole"

    def reply(self, request: Request) -> Reply | Failed:
        return by_hash(request)


class TestSimilarity(ScorerConformance):
    component = "scorers/similarity"
    config = {"model": "minilm", "first_characters": 20}
    subject_type = WithTarget

    def reply(self, request: Request) -> Reply | Failed:
        return by_hash(request)
