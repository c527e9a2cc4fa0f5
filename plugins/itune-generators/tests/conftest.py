from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from itune_core.api import Backend, Failed, ModelSource, Reply, Request
from itune_core.testing.answering import answer_with


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer Llama with random weights and a real tokenizer."""
    itune_torch = pytest.importorskip("itune_torch", reason="runs a model: needs itune-torch and itune-backends")
    return itune_torch.make_tiny_llama(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> Iterator[Callable[[Request], Reply | Failed]]:
    """What answers for it: the real backend, found as a recipe finds it."""
    [entry] = entry_points(group="itune.backends", name="transformers")
    cls = entry.load()
    backend: Backend = cls(cls.Config(model=str(tiny_folder), dtype="float32", device="cpu"))
    backend.open(ModelSource(tiny_folder, "transformers", "tiny", str(tiny_folder)))
    yield answer_with(backend)
    backend.close()
