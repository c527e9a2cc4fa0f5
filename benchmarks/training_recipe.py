"""The recipes of the training benchmarks, and how they are run by the command line."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

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

ITUNE = [sys.executable, "-m", "itune_core.cli.main"]


class Bench(NamedTuple):
    """Where a benchmark works: an empty folder, the weights as transformers loads them, and their tokenizer."""

    folder: Path
    weights: Path
    tokenizer: Any


@contextmanager
def bench() -> Iterator[Bench]:
    """A folder for the benchmark, and the model, fetched and converted before anything is timed."""
    from itune_core.engine.digest import FileDigests
    from itune_core.engine.models import Resolver
    from itune_torch import load_tokenizer, resolve

    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        source = Resolver(FileDigests(folder / "digests.json"), False, folder).find(MODEL)
        yield Bench(folder, resolve(source), load_tokenizer(source))


def write_recipe(
    folder: Path,
    name: str,
    trainers: Mapping[str, str],
    rows: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Path:
    """A recipe beside ``rows.jsonl`` in `folder`: rows, and the steps that are trained on them.

    Args:
        folder: of the recipe and the rows.
        name: of the recipe's file.
        trainers: trainer of each step, by the step's name.
        rows: the step that formats, ``formatters/messages`` if not given.
        settings: of the trainers, beside :data:`SETTINGS`.
    """
    step = {"uses": "formatters/messages", **(rows or {})}
    step["with"] = {"path": "rows.jsonl", **step.get("with", {})}
    recipe = {
        "itune": 1,
        "name": "benchmark",
        "models": {"student": {"backend": "transformers", "model": MODEL}},
        "steps": {
            "rows": step,
            **{
                name: {"uses": f"trainers/{trainer}", "from": "rows", "with": {**SETTINGS, **settings}}
                for name, trainer in trainers.items()
            },
        },
    }
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(recipe, indent=1), "utf-8")  # JSON is YAML
    return path


def run_itune(recipe: Path, turn: int, *steps: str) -> dict[str, Any]:
    """``itune run`` with an empty store: CPU seconds, peak memory, and the mean of the losses of all steps.

    Machine facts are measured once for a machine, not once a run, so they are there already.

    Args:
        recipe: its path.
        turn: each has a store of its own.
        steps: whose losses are reported; the first as ``loss``.
    """
    home = new_home(recipe, turn)
    environment = {"ITUNE_HOME": str(home)}
    used = spent([*ITUNE, "run", recipe.name, "--offline"], folder=recipe.parent, environment=environment)
    found: dict[str, Any] = {"cpu": used.cpu, "peak_mb": used.peak_mb}
    for step in steps or ("sft",):
        shown = spent([*ITUNE, "show", step, "--json"], folder=recipe.parent, environment=environment)
        metrics = json.loads(shown.printed)["metrics"]
        found.setdefault("loss", metrics["loss"])
        found.setdefault("dtype", metrics["dtype"])
        found.setdefault("losses", {})[step] = metrics["loss"]
    shutil.rmtree(home)
    return found


def new_home(recipe: Path, turn: int) -> Path:
    """An empty store that knows this machine."""
    home = recipe.parent / f"home-{recipe.stem}-{turn}"
    home.mkdir()
    facts = recipe.parent / "machine.json"
    if facts.exists():
        shutil.copy(facts, home / "machine.json")
    return home


def measure_machine(recipe: Path) -> None:
    """Have the machine facts that ``dtype: auto`` follows measured, and keep them for :func:`run_itune`."""
    home = recipe.parent / "home-facts"
    spent([*ITUNE, "plan", recipe.name], folder=recipe.parent, environment={"ITUNE_HOME": str(home)})
    if (home / "machine.json").exists():
        shutil.copy(home / "machine.json", recipe.parent / "machine.json")
