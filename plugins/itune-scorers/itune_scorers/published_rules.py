"""Rules that were published, by name."""

from __future__ import annotations

from collections.abc import Mapping

from itune_core.api import Rule

TARGET = "log inference loss"

PUBLISHED: Mapping[str, Rule] = {
    "instructmining-v1": Rule(
        TARGET,
        1.0694,
        {"reward": -0.1498, "length": 8.257e-5, "knn": -0.9350},
        notes={"model": "LLaMA-7B", "mixtures": 78, "source": "arXiv:2307.06290v1"},
    ),
    "instructmining-v3": Rule(
        TARGET,
        0.0274,
        {"reward": -0.0078, "understandability": 0.4421, "naturalness": -0.3212, "coherence": -0.1520},
        notes={"model": "LLaMA-2-7B", "r2": 0.522, "source": "arXiv:2307.06290v3"},
    ),
}
"""InstructMining's two rules. The coefficients hold for the model that was tuned and for the scale of the indicators
that were used: `reward` of an OpenAssistant reward model, `length` of the answer, `knn` the distance to the sixth
neighbour among Sentence-BERT embeddings, the others UniEval's of dialogues."""
