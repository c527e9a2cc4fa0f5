from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from itune_backends.transformers_backend import Transformers
from itune_core.api import ModelSource
from itune_torch import make_tiny_llama

Opening = Callable[..., Transformers]


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer Llama with random weights and a real tokenizer."""
    return make_tiny_llama(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def opened(tiny_folder: Path) -> Opening:
    """Opens a backend on a model's folder or source; the two-layer model's if none is given."""

    def make(source: Path | ModelSource = tiny_folder, **settings: Any) -> Transformers:
        if isinstance(source, Path):
            source = ModelSource(source, "transformers", source.name, str(source))
        backend = Transformers(
            Transformers.Config(**{"model": "tiny", "dtype": "float32", "device": "cpu", **settings})
        )
        backend.open(source)
        return backend

    return make
