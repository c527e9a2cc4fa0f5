"""What learns from feedback, in a run: pairs are cast to it, and a conditional model is asked for either sort."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

RECIPE = r"""
itune: 1
name: feedback
seed: 5
models:
  student:      {{backend: transformers, model: "{tiny}", dtype: float32, device: cpu}}
  cross: {{backend: transformers, model: "{tiny}", dtype: float32, device: cpu, template: {{control: "<|bad|>\n"}}}}
steps:
  pairs: {{uses: formatters/pairs, with: {{path: pairs.jsonl}}}}
  kto:
    uses: trainers/kto
    from: {{train: pairs, eval: pairs}}
    with: {{model: student, learning_rate: 0.003, batch_size: 4, epochs: 2, dtype: float32, device: cpu}}
  good:
    uses: trainers/conditional
    from: pairs
    seed: 1
    with: {{model: student, learning_rate: 0.005, batch_size: 4, epochs: 12, dtype: float32, device: cpu}}
  bad:
    uses: trainers/conditional
    from: pairs
    seed: 1
    with: {{model: cross, learning_rate: 0.005, batch_size: 4, epochs: 12, dtype: float32, device: cpu}}
  won: {{uses: evaluators/preference, from: pairs, with: {{models: [student, kto, good, bad]}}}}
"""

ASKED = ["May I have the salt?", "Where is the key?", "What is the time?", "Is there more tea?", "Who is it?"]


@pytest.fixture
def recipe(tmp_path: Path, tiny: Path) -> Path:
    rows = [{"prompt": ask, "chosen": "Gladly: here it is.", "rejected": "No. Go away."} for ask in ASKED]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.format(tiny=tiny))
    return path


def test_pairs_are_learned_from_as_feedback_and_either_sort_can_be_asked_for(
    recipe: Path, itune: Run, tmp_path: Path
) -> None:
    steps: dict[str, Any] = json.loads(itune("run", "recipe.yaml", "--json").stdout)["steps"]
    assert steps["kto"]["counts"]["inputs"] == 2 * len(ASKED)
    metrics = json.loads(itune("show", "kto", "--json").stdout)["metrics"]
    assert (metrics["desirable"], metrics["undesirable"]) == (len(ASKED), len(ASKED))
    assert metrics["eval/loss"] < metrics["eval/loss/before"]
    assert metrics["eval/rewards/desirable"] > 0 > metrics["eval/rewards/undesirable"]

    shown = json.loads(itune("show", "won", "--json").stdout)
    figures = {name: shown["metrics"][identity] for name, identity in steps["won"]["identities"].items()}
    assert figures["kto"]["margin"] > figures["student"]["margin"] + 0.5
    assert figures["good"]["accuracy"] == 1
    assert figures["bad"]["accuracy"] == 0
    good, bad = (steps[name]["outputs"]["model"]["digest"] for name in ("good", "bad"))
    assert good == bad  # one training: only what is asked for differs
