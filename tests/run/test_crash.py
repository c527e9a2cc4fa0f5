"""``kill -9`` at random moments: nothing finished runs twice, and what comes out is what an undisturbed run gives."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

KILLS = 20

RECIPE = """
itune: 1
name: crash
seed: 7
models:
  base: {{backend: transformers, model: "{tiny}"}}
steps:
  rows:     {{uses: formatters/alpaca, with: {{path: "{data}/instructions.jsonl"}}}}
  distinct: {{uses: filters/exact-duplicates, from: rows}}
  concise:  {{uses: filters/length, from: distinct, with: {{response: {{max_words: 100}}}}}}
  surprise: {{uses: scorers/perplexity, from: concise, with: {{model: base}}}}
  brief:    {{uses: filters/length, from: surprise, with: {{prompt: {{max_words: 14}}}}}}
  wordy:    {{uses: filters/length, from: surprise, with: {{prompt: {{min_words: 15}}}}}}
  mixed:    {{uses: mixers/proportional, from: [brief, wordy], with: {{cap: 120}}}}
  sft:      {{uses: trainers/sft, from: mixed, with: {{model: base, batch_size: 2, max_length: 2048, save_steps: 5}}}}
  pairs:    {{uses: formatters/pairs, with: {{path: "{data}/preferences.jsonl"}}}}
  dpo:      {{uses: trainers/dpo, from: pairs, with: {{model: sft, batch_size: 2, max_length: 2048, save_steps: 5}}}}
  held_out: {{uses: formatters/alpaca, with: {{path: "{data}/held_out.jsonl"}}}}
  loss:     {{uses: evaluators/inference-loss, from: held_out, with: {{models: [base, sft, dpo]}}}}
  style:    {{uses: evaluators/pattern, from: held_out, with: {{models: [base, dpo], pattern: "Check", max_tokens: 8}}}}
"""


def _command() -> list[str]:
    return [sys.executable, "-m", "itune_core.cli.main", "run", "recipe.yaml", "--json"]


def _environment(home: Path) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "ITUNE_HOME": str(home), "HF_HUB_OFFLINE": "1"}


def _outputs(record: str) -> dict[str, object]:
    return {name: step["outputs"] for name, step in json.loads(record)["steps"].items()}


@pytest.mark.slow
def test_killed_twenty_times_it_ends_as_if_undisturbed(tmp_path: Path, tiny: Path) -> None:
    data = Path(__file__).parents[2] / "examples" / "quickstart" / "data"
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(tiny=tiny, data=data))
    began = time.monotonic()
    calm = subprocess.run(
        _command(), cwd=tmp_path, env=_environment(tmp_path / "calm"), capture_output=True, text=True, check=True
    )
    length = time.monotonic() - began

    home, chance = tmp_path / "stormy", random.Random(11)
    killed = 0
    while killed < KILLS:
        worker = subprocess.Popen(
            _command(), cwd=tmp_path, env=_environment(home), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            # mostly where steps are being made, sometimes while Python still starts
            worker.wait(timeout=chance.uniform(0.3, max(length / 4, 3)))
            break  # it came through before its time: what is left to kill is done
        except subprocess.TimeoutExpired:
            os.kill(worker.pid, signal.SIGKILL)
            worker.wait()
            killed += 1
    end = subprocess.run(_command(), cwd=tmp_path, env=_environment(home), capture_output=True, text=True, check=True)

    assert killed >= 5, "the recipe is too quick for this test to mean anything"
    assert _outputs(end.stdout) == _outputs(calm.stdout)
    finished: Counter[str] = Counter()
    for events in (home / "runs").glob("*/events.jsonl"):
        for line in events.read_text().splitlines():
            if line.startswith("{") and line.endswith("}"):
                event = json.loads(line)
                if event["event"] == "step finished" and not event["reused"]:
                    finished[event["step"]] += 1
    assert all(times == 1 for times in finished.values()), finished
    assert not list((home / "store" / "drafts").iterdir())


@pytest.mark.slow
def test_training_goes_on_where_it_was_killed(tmp_path: Path, tiny: Path) -> None:
    data = Path(__file__).parents[2] / "examples" / "quickstart" / "data"
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(tiny=tiny, data=data))
    command = [*_command(), "--only", "sft"]
    worker = subprocess.Popen(
        command, cwd=tmp_path, env=_environment(tmp_path / "home"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    work = tmp_path / "home" / "store" / "work"
    deadline = time.monotonic() + 120

    def whole() -> list[Path]:
        return [path for path in work.glob("*/checkpoints/*") if path.suffix != ".part"]

    while not whole() and worker.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    assert whole(), "it was not killed between its first checkpoint and its end"
    subprocess.run(command, cwd=tmp_path, env=_environment(tmp_path / "home"), capture_output=True, check=True)
    runs = sorted((tmp_path / "home" / "runs").glob("*/events.jsonl"), key=lambda path: path.stat().st_mtime)
    steps = [
        json.loads(line)["done"]
        for line in runs[-1].read_text().splitlines()
        if json.loads(line)["event"] == "progress" and json.loads(line)["step"] == "sft"
    ]
    assert steps
    assert min(steps) >= 5, f"it began at the beginning: {steps}"  # told how far it is before it goes on
