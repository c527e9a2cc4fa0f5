"""Every mixer here keeps to the contract that all mixers keep to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from itune_core.api import Embed, Failed, Kind, Record, Reply, Request, Vectors
from itune_core.testing import MixerConformance
from itune_core.testing.sample_records import samples
from itune_core.testing.tried import RowSubject

SCORES = {"score.worth": [0.5, 2.0, 1.0, 0.25, 3.0]}


class TestProportional(MixerConformance):
    component = "mixers/proportional"
    config = {"cap": 3, "size": 7, "epochs": 2}
    order = "free"


class TestProportionalWithTokens(MixerConformance):
    component = "mixers/proportional"
    config = {"tokens_of": "tiny"}


class TestTemperature(MixerConformance):
    component = "mixers/temperature"
    config = {"temperature": 3, "epochs": 2}
    order = "free"


class TestWeighted(MixerConformance):
    component = "mixers/weighted"
    config = {"shares": [0.7, 0.2, 0.1], "size": 20}
    order = "free"


class TestQualityWeighted(MixerConformance):
    component = "mixers/quality-weighted"
    config = {"score": "score.worth", "size": 20}
    columns = SCORES


class TestFamilies(MixerConformance):
    component = "mixers/families"
    config = {"shares": {"nlp": 1}, "cap": 2}
    order = "free"


class TestReplay(MixerConformance):
    component = "mixers/replay"
    config = {"share": 0.3, "epochs": 2}
    order = "free"


class TestStages(MixerConformance):
    component = "mixers/stages"
    config = {"first": {"cap": 2}, "second": {"epochs": 2}, "replay": 0.3}
    order = "free"


class TestCurriculum(MixerConformance):
    component = "mixers/curriculum"
    config = {"score": "score.worth", "steps": 3, "epochs": 2}
    columns = SCORES


class TestFusion(MixerConformance):
    component = "mixers/fusion"
    config = {"size": 6, "number": 2}
    order = "free"


class Tasks(RowSubject):
    """Rows of four tasks; the target's are those of one of them."""

    def records(self, kind: Kind) -> list[Record]:
        made = []
        for number, record in enumerate(samples(kind)):
            task = number % 4
            meta = {"definition": f"Say it in {task + 1} words.", "data_sets": [f"set-{task}"]}
            made.append(record.replace(task=f"task-{task}", meta=json.dumps(meta)))
        return made

    def inputs(self, positions: Sequence[int] | None, kind: Kind) -> dict[str, list[Any]]:
        import numpy as np

        found = super().inputs(positions, kind)
        found["target"] = [self.view(kind).select(np.array([3, 7]))]
        return found


class TestTaskSimilarity(MixerConformance):
    component = "mixers/task-similarity"
    config = {"model": "minilm", "top_k": 2, "epochs": 2}
    subject_type = Tasks

    def reply(self, request: Request) -> Reply | Failed:
        assert isinstance(request, Embed)
        return Vectors([[0.6, 0.8] if "2" in text else [1.0, 0.0] for text in request.texts])
