"""Sentence embeddings: near things are near, and nothing but local safetensors is opened."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from itune_core.api import ModelError, ModelSource
from itune_torch import embed, load_embedder

TEXTS = ["A cat sat on the mat.", "A kitten was sitting on a rug.", "Stock markets fell on Tuesday.", ""]


@pytest.mark.slow
def test_minilm(minilm: ModelSource) -> None:
    model = load_embedder(minilm)
    vectors = embed(model, TEXTS, batch_size=2)
    assert (vectors.shape, vectors.dtype) == ((4, 384), np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    near, far = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert near > 0.5
    assert far < 0.2
    np.testing.assert_allclose(embed(model, TEXTS[::-1], batch_size=4)[::-1], vectors, atol=1e-5)
    assert embed(model, []).shape == (0, 384)


def test_not_an_embedder(tiny: ModelSource) -> None:
    with pytest.raises(ModelError, match="not a sentence embedder"):
        load_embedder(tiny)


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "modules.json").write_text("[]")
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(ModelError, match=r"no \*\.safetensors"):
        load_embedder(ModelSource(tmp_path, "sentence-transformers", "x", "./x"))
