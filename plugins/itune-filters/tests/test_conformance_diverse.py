"""`filters/diverse` keeps to the contract that all filters keep to."""

from __future__ import annotations

import hashlib

import numpy as np

from itune_core.api import Embed, Failed, Reply, Request, Vectors
from itune_core.testing import FilterConformance


class TestDiverse(FilterConformance):
    component = "filters/diverse"
    config = {"by": "score.worth", "model": "minilm", "threshold": 0.3, "size": 6}
    columns = {"score.worth": [0.5, 2.0, 1.0]}
    order, scope = "defined", "whole"

    def reply(self, request: Request) -> Reply | Failed:
        """Vectors that depend on the text alone, and that look like nothing."""
        assert isinstance(request, Embed)
        drawn = [np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8) - 127.5 for text in request.texts]
        return Vectors([(vector / np.linalg.norm(vector)).tolist() for vector in drawn])
