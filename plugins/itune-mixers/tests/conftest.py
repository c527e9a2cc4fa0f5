from __future__ import annotations

from collections.abc import Callable
from typing import Any

import datasets
import pytest

from itune_core.api import Kind, Mix, Mixer, features, text
from itune_core.testing import BenchContext

Mixing = Callable[..., Mix]
Scored = Callable[..., datasets.Dataset]


@pytest.fixture(scope="session")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Mixing:
    """What a mixer gives of its inputs under a seed; the draws as a list. Where only sizes count, ranges are inputs."""
    folder = tmp_path_factory.mktemp("bench")

    def mix(mixer: Mixer, seed: int = 0, **inputs: Any) -> Mix:
        made = mixer.itune_mix(inputs=inputs, context=BenchContext(folder, seed=seed))
        return Mix(list(made.draws), made.asked, made.tokens)

    return mix


@pytest.fixture(scope="session")
def scored() -> Scored:
    """A data set of as many text records as there are scores, with those in a column."""

    def make(scores: list[Any], column: str = "score.worth", name: str = "r") -> datasets.Dataset:
        schema = features(Kind.TEXT)
        rows = [dict(text(f"{name} {row}").replace(id=f"{name}{row}")) for row in range(len(scores))]
        made = datasets.Dataset.from_dict({key: [row[key] for row in rows] for key in schema}, features=schema)
        return made.add_column(column, scores)

    return make
