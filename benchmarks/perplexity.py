"""Perplexity of answers: ``itune run`` against a plain loop that scores padded batches in the order of the file.

Alpaca rows, SmolLM2-135M in float32; whole processes, one thread each, in CPU time. Both give the mean loss of every
answer, and these must agree.

    python benchmarks/perplexity.py --rows 256 --repeats 3 --json perplexity.json
"""

from __future__ import annotations

import json
import math
import shutil
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
from contest import Goal, contest, options, peer
from real_rows import alpaca_rows, write_jsonl
from timing import Contender, spent
from training_recipe import ITUNE, MODEL, bench, new_home

OURS, PLAIN = "itune run, scorers/perplexity", "plain loop, padded batches"
GOALS = [Goal(OURS, PLAIN, 1 / 1.3)]
BATCH = 8
"""Rows of a padded batch. Larger ones are padded more."""

WITHIN = 1e-4
"""The means of an answer may differ by rounding, by so many nats."""


def main() -> None:
    given = options(__doc__, rows=256, repeats=3)
    with bench() as (folder, weights, tokenizer):
        rows = write_jsonl(alpaca_rows(tokenizer, given.rows), folder / "rows.jsonl")
        recipe = _recipe(folder)
        found = [folder / "plain.json", folder / "ours.json"]
        plain = peer(PLAIN, "plain_perplexity.py", weights, rows, BATCH, found[0], folder=folder)
        ours = Contender(OURS, lambda turn: _run(recipe, turn, found[1]))
        contest(given, [plain, ours], GOALS, equal=[(OURS, PLAIN)], within=1e-5, batch=BATCH)
        means = [json.loads(file.read_text("utf-8")) for file in found]
    apart = max(abs(one - other) for one, other in zip(*means, strict=True))
    print(f"rows a CPU second: {given.rows / ours.cpu:.2f} against {given.rows / plain.cpu:.2f}")
    print(f"the means of an answer are at most {apart:.1e} apart")
    if apart > WITHIN:
        sys.exit("the scores differ: this compares nothing")


def _recipe(folder: Path) -> Path:
    recipe = {
        "itune": 1,
        "name": "perplexity",
        "models": {"student": {"backend": "transformers", "model": MODEL, "dtype": "float32", "device": "cpu"}},
        "steps": {
            "rows": {"uses": "formatters/messages", "with": {"path": "rows.jsonl"}},
            "ppl": {"uses": "scorers/perplexity", "from": "rows", "with": {"model": "student"}},
        },
    }
    path = folder / "perplexity.yaml"
    path.write_text(json.dumps(recipe, indent=1), "utf-8")  # JSON is YAML
    return path


def _run(recipe: Path, turn: int, found: Path) -> dict[str, Any]:
    """``itune run`` with an empty store: what it uses. The mean loss of each answer goes into the file `found`."""
    home = new_home(recipe, turn)
    environment = {"ITUNE_HOME": str(home)}
    used = spent([*ITUNE, "run", recipe.name, "--offline"], folder=recipe.parent, environment=environment)
    shown = spent([*ITUNE, "show", "ppl", "--json"], folder=recipe.parent, environment=environment)
    columns = pa.ipc.open_file(str(home / "store" / json.loads(shown.printed)["key"] / "columns.arrow")).read_all()
    means = columns.column("score.ppl.mean_nll").to_pylist()
    found.write_text(json.dumps(means), "utf-8")
    shutil.rmtree(home)
    return {"cpu": used.cpu, "peak_mb": used.peak_mb, "loss": math.fsum(means) / len(means)}


if __name__ == "__main__":
    main()
