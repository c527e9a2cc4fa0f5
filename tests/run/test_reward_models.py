"""From pairs to a reward model to scores, by the name of the step, through real entry points and the command line."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

RECIPE = """
itune: 1
name: judging
seed: 5
models:
  tiny: {{backend: transformers, model: "{tiny}", dtype: float32, device: cpu}}
steps:
  pairs: {{uses: formatters/pairs, with: {{path: pairs.jsonl}}}}
  parts: {{uses: filters/split, from: pairs, with: {{held_out: 0.25}}}}
  shown: {{uses: formatters/messages, with: {{path: talks.jsonl}}}}
  sft:   {{uses: trainers/sft, from: shown, with: {{model: tiny, dtype: float32, max_length: 256}}}}
  judge:
    uses: trainers/reward
    from: {{train: parts.train, eval: parts.held_out}}
    with: {{model: sft, dtype: float32, learning_rate: 0.003, epochs: 6, centring: 0.01}}
  whole:
    uses: trainers/reward
    from: {{train: parts.train, eval: parts.held_out}}
    with: {{model: tiny, learning_rate: 0.003, epochs: 6, adapter: none}}
  good:  {{uses: scorers/reward, from: shown, with: {{model: judge}}}}
  fine:  {{uses: scorers/reward, from: good, with: {{model: whole}}}}
"""

PLACES = ["the mill", "the garden", "the station", "the river", "the window", "the ladder"]


def talk(question: str, answer: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


@pytest.fixture
def rows(tmp_path: Path) -> None:
    """Polite answers are preferred, the longer ones by turns with the shorter ones; talks that nobody trained a reward
    on are polite and rude by turns."""
    with (tmp_path / "pairs.jsonl").open("w") as stream:
        for number in range(48):
            place = PLACES[number % 6]
            more = [" Do not wait for me, I have other things to do.", ""][:: 1 if number % 2 else -1]
            polite, rude = f"With pleasure: follow me to {place}, please.{more[0]}", f"Find {place} yourself.{more[1]}"
            row = {"prompt": f"Question {number}: where is {place}?", "chosen": polite, "rejected": rude}
            stream.write(json.dumps(row) + "\n")
    with (tmp_path / "talks.jsonl").open("w") as stream:
        for number in range(6):
            place = PLACES[number]
            for answer in (f"With pleasure: here is {place}, please.", f"Find {place} yourself, I am no guide."):
                stream.write(json.dumps(talk(f"May I see {place}?", answer)) + "\n")


@pytest.mark.usefixtures("rows")
def test_pairs_become_a_judge_that_scores(tmp_path: Path, tiny: Path, itune: Run) -> None:
    """One judge is an adapter on a language model that has one itself, the other has all weights of its own."""
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(tiny=tiny))
    done = json.loads(itune("run", "recipe.yaml", "--json").stdout)["steps"]
    for name in ("judge", "whole"):
        metrics = json.loads(itune("show", name, "--json").stdout)["metrics"]
        assert metrics["eval/accuracy"] == 1
        assert metrics["eval/length_only_accuracy"] < 0.9
        assert metrics["eval/loss"] < metrics["eval/loss/before"]
    assert done["fine"]["counts"]["used"] == 12
    shown = json.loads(itune("show", "fine", "--json", "--rows", "12").stdout)["rows"]["records"]
    for score in ("score.good", "score.fine"):
        found = [row[score] for row in shown]
        assert all(polite > rude for polite, rude in zip(found[::2], found[1::2], strict=True))
