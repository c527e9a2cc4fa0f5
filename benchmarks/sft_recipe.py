"""The recipe of the training benchmarks, and how it is run by the command line."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from timing import spent

MODEL = "embedded:smollm2-135m"
SETTINGS = {
    "model": "student",
    "max_length": 512,
    "batch_size": 8,
    "epochs": 1,
    "learning_rate": 1e-4,
    "schedule": "linear",
    "warmup": 0.0,
    # The order of the file, on all sides: the losses are compared.
    "shuffle": False,
}
"""LoRA r=16, alpha=32 on all linear layers is the default."""


def write_recipe(folder: Path, dtype: str) -> Path:
    """A recipe of two steps beside ``rows.jsonl`` in `folder`."""
    settings = json.dumps({**SETTINGS, "dtype": dtype})  # JSON is YAML
    path = folder / f"{dtype}.yaml"
    path.write_text(
        "itune: 1\n"
        "name: benchmark\n"
        f"models: {{student: {{backend: transformers, model: '{MODEL}'}}}}\n"
        "steps:\n"
        "  rows: {uses: formatters/messages, with: {path: rows.jsonl}}\n"
        f"  sft: {{uses: trainers/sft, from: rows, with: {settings}}}\n",
        "utf-8",
    )
    return path


def run_itune(recipe: Path, turn: int) -> dict[str, Any]:
    """``itune run`` with an empty store; CPU seconds and the mean of the losses of all steps.

    Machine facts are measured once for a machine, not once a run, so they are there already.
    """
    home = recipe.parent / f"home-{recipe.stem}-{turn}"
    home.mkdir()
    facts = recipe.parent / "machine.json"
    if facts.exists():
        shutil.copy(facts, home / "machine.json")
    itune = [sys.executable, "-m", "itune_core.cli.main"]
    environment = {"ITUNE_HOME": str(home)}
    cpu, _ = spent([*itune, "run", recipe.name, "--offline"], folder=recipe.parent, environment=environment)
    _, shown = spent([*itune, "show", "sft", "--json"], folder=recipe.parent, environment=environment)
    metrics = json.loads(shown)["metrics"]
    return {"cpu": cpu, "loss": metrics["loss"], "dtype": metrics["dtype"]}


def measure_machine(recipe: Path) -> None:
    """Have the machine facts that ``dtype: auto`` follows measured, and keep them for :func:`run_itune`."""
    home = recipe.parent / "home-facts"
    itune = [sys.executable, "-m", "itune_core.cli.main"]
    spent([*itune, "plan", recipe.name], folder=recipe.parent, environment={"ITUNE_HOME": str(home)})
    if (home / "machine.json").exists():
        shutil.copy(home / "machine.json", recipe.parent / "machine.json")
