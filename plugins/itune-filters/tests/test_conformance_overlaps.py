"""The filters that compare records with each other, or with evaluation sets, keep to the contract of all filters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from itune_core.api import Embed, Failed, Kind, Reply, Request, Vectors
from itune_core.testing import FilterConformance
from itune_core.testing.tried import RowSubject


class TestNovelty(FilterConformance):
    component = "filters/novelty"
    config = {"threshold": 0.5}
    order, scope = "defined", "whole"


class Seeded(RowSubject):
    """The third and the fifth row are seeds."""

    def inputs(self, positions: Sequence[int] | None, kind: Kind) -> dict[str, list[Any]]:
        import numpy as np

        return {**super().inputs(positions, kind), "seeds": [self.view(kind).select(np.array([2, 4]))]}


class TestNoveltyWithSeeds(FilterConformance):
    component = "filters/novelty"
    config = {"on": "all", "tokens": "words"}
    order, scope = "defined", "whole"
    subject_type = Seeded


class TestNearDuplicates(FilterConformance):
    component = "filters/near-duplicates"
    config = {"unit": "characters", "threshold": 0.3}
    order, scope = "defined", "whole"


class Against(RowSubject):
    """Two evaluation sets of a row each: the sixth and the eighth."""

    evaluation: Sequence[int] = (5, 7)

    def inputs(self, positions: Sequence[int] | None, kind: Kind) -> dict[str, list[Any]]:
        import numpy as np

        sets = [self.view(kind).select(np.array([row])) for row in self.evaluation]
        return {**super().inputs(positions, kind), "against": sets}


class AgainstOne(Against):
    """One evaluation row, so that the second request is a record's: what cannot be had of an evaluation row ends the
    step, as it must."""

    evaluation = (9,)


class TestDecontaminate(FilterConformance):
    component = "filters/decontaminate"
    config = {"on": "all", "size": 4}
    subject_type = Against


class TestDecontaminateByMeaning(FilterConformance):
    component = "filters/decontaminate"
    config = {"model": "minilm"}
    subject_type = AgainstOne

    def reply(self, request: Request) -> Reply | Failed:
        assert isinstance(request, Embed)
        return Vectors([[0.6, 0.8] if "paillis" in text or "pears" in text else [1.0, 0.0] for text in request.texts])
