"""The pytest plugin ``itune``: fixtures with a language model small enough for every test.

Loaded by pytest wherever itune-core is installed, so it imports nothing beyond pytest and the standard library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from itune_core.api import Failed, Reply, Request

NEEDS = "runs a model: pip install itune-torch itune-backends"


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a two-layer Llama with random weights and a real tokenizer; skips where itune-torch is missing."""
    itune_torch = pytest.importorskip("itune_torch", reason=NEEDS)
    folder: Path = itune_torch.make_tiny_llama(tmp_path_factory.mktemp("models") / "tiny")
    return folder


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> Iterator[Callable[[Request], Reply | Failed]]:
    """What answers for that model: the real backend, found by its entry point; skips where itune-backends is missing.

    Any model name in a request means this one.
    """
    from importlib.metadata import entry_points

    from itune_core.api import ModelSource
    from itune_core.testing.answering import answer_with

    found = entry_points(group="itune.backends", name="transformers")
    if not found:
        pytest.skip(NEEDS)
    cls = found["transformers"].load()
    backend = cls(cls.Config(model=str(tiny_folder), dtype="float32", device="cpu"))
    backend.open(ModelSource(tiny_folder, "transformers", "tiny", str(tiny_folder)))
    yield answer_with(backend)
    backend.close()
