"""A reward model of two layers with random weights, for tests."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory


def make_tiny_reward(folder: Path, seed: int = 0) -> Path:
    """Write the model of :func:`make_tiny_llama` with a random head for one number in the place of its LM head.

    The same seed gives the same bytes.

    Args:
        folder: where to save; made if missing.
        seed: of the weights, the head's included.

    Returns:
        `folder`: ``config.json``, ``model.safetensors`` (float32), tokenizer with chat template.
    """
    import torch

    from itune_core.api import ModelSource
    from itune_torch._load import load_tokenizer
    from itune_torch._load_reward import load_reward
    from itune_torch._quiet import quietly
    from itune_torch._tiny import make_tiny_llama

    with TemporaryDirectory() as place:
        source = ModelSource(make_tiny_llama(Path(place), seed=seed), "transformers", "tiny", "tiny")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = load_reward(source, new_head=True)
        model.config.name_or_path = ""
        with quietly():
            model.save_pretrained(folder)
            load_tokenizer(source).save_pretrained(folder)
    return folder
