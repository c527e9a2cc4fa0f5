"""How a model is run over examples, by its architecture."""

from __future__ import annotations

from itune_core.api import Architecture
from itune_trainers.forward.base import Forward


def forward_of(architecture: Architecture) -> type[Forward]:
    """The class that runs models of `architecture`."""
    if architecture == "causal":
        from itune_trainers.forward.causal import Causal

        return Causal
    if architecture == "seq2seq":
        from itune_trainers.forward.seq2seq import Seq2Seq

        return Seq2Seq
    if architecture == "reward":
        from itune_trainers.forward.reward import Reward

        return Reward
    raise ValueError(f"there is no way to train a model of architecture {architecture!r}")
