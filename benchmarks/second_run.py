"""From the start of ``itune run`` to the first training step: the first time, and again on the same data.

DPO on 32 pairs of hh-rlhf (``dpo_vs_trl.py``). The first run formats, tokenises and computes the log-probabilities of
the reference; the second, with another learning rate, finds them. CPU time of the process until it begins its first
step, one thread; then it is ended.

    python benchmarks/second_run.py --rows 32 --repeats 3 --json second_run.json
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from contest import Goal, contest, options
from real_rows import hh_pairs, write_jsonl
from timing import QUIET, THREADS, Contender
from training_recipe import ITUNE, bench, measure_machine, new_home, write_recipe

FIRST, SECOND = "first run", "second run, another learning rate"
GOALS = [Goal(SECOND, FIRST, 0.20)]
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    given = options(__doc__, rows=32, repeats=3)
    with bench() as (folder, _, tokenizer):
        write_jsonl(hh_pairs(tokenizer, given.rows), folder / "rows.jsonl")
        formatter = {"uses": "formatters/pairs"}
        shared: dict[str, Any] = {"dtype": "float32", "batch_size": 4, "beta": 0.1}
        recipes = [
            write_recipe(folder, name, {"dpo": "dpo"}, formatter, **shared, learning_rate=rate)
            for name, rate in (("first", 1e-4), ("second", 2e-4))
        ]
        measure_machine(recipes[0])
        steps = math.ceil(given.rows / 4)
        homes: dict[int, Path] = {}

        def first(turn: int) -> dict[str, Any]:
            homes[turn] = new_home(recipes[0], turn)
            return _until_first_step(recipes[0], homes[turn], steps)

        def second(turn: int) -> dict[str, Any]:
            return _until_first_step(recipes[1], homes[turn], steps)

        contest(given, [Contender(FIRST, first), Contender(SECOND, second)], GOALS)


def _until_first_step(recipe: Path, home: Path, steps: int) -> dict[str, Any]:
    """CPU seconds of ``itune run`` until its events tell that the first of so many training steps begins."""
    known = set(home.glob("runs/*/events.jsonl"))
    process = subprocess.Popen(
        [*ITUNE, "run", recipe.name, "--offline"],
        cwd=recipe.parent,
        env={**os.environ, **THREADS, **QUIET, "ITUNE_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None:
        time.sleep(0.02)
        for path in set(home.glob("runs/*/events.jsonl")) - known:
            told = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.endswith("}")]
            if any(event["event"] == "progress" and (event["done"], event["total"]) == (0, steps) for event in told):
                fields = Path(f"/proc/{process.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
                process.kill()
                process.wait()
                return {"cpu": (int(fields[11]) + int(fields[12])) / TICKS}
    sys.exit(f"{recipe.name} ended with {process.returncode} before its first step")


if __name__ == "__main__":
    main()
