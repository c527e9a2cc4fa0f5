"""What mixing costs: a mixer's whole step, as the engine executes it, in CPU time.

Twelve sources of 100,000 rows each are formatted once, outside of the timing. Then a run finds them in the store and
makes 1,000,000 draws from them by proportional mixing, each turn with another seed. Two figures: the step alone, from
opening its inputs to its manifest; and the whole run around it, which also looks for the sources.

python benchmarks/mixing.py --json benchmarks/results/mixing.json
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from timing import facts

from itune_core.engine import runner
from itune_core.engine.home import Home
from itune_core.engine.project import Project
from itune_core.recipe.plan import compile

GOAL = 3.0
"""CPU seconds of the step."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--sources", type=int, default=12)
    arguments.add_argument("--rows", type=int, default=100_000, help="rows of each source")
    arguments.add_argument("--draws", type=int, default=1_000_000)
    arguments.add_argument("--repeats", type=int, default=5, help="turns; the median counts")
    arguments.add_argument("--folder", type=Path, help="keep the sources here; taken from here if they are there")
    arguments.add_argument("--json", type=Path, help="where to write the result")
    given = arguments.parse_args()

    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        recipe = _recipe(folder, given.sources, given.rows, given.draws)
        home = Home(folder / ".itune")
        names = [f"source_{number}" for number in range(given.sources)]
        runner.run(Project(compile(recipe), home), runner.Options(only=names))
        turns = [_turn(recipe, home) for _ in range(given.repeats)]

    medians = {name: statistics.median(turn[name] for turn in turns) for name in turns[0]}
    print(_table(turns))
    if given.json:
        sizes = {"sources": given.sources, "rows": given.rows, "draws": given.draws}
        result = {**sizes, "goal": GOAL, "medians": medians, "turns": turns, **facts()}
        given.json.write_text(json.dumps(result, indent=2) + "\n", "utf-8")


def _recipe(folder: Path, sources: int, rows: int, draws: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["itune: 1", "name: mixing", "seed: 7", "steps:"]
    for number in range(sources):
        file = folder / f"source_{number}.jsonl"
        if not file.exists():
            with file.open("w", encoding="utf-8") as stream:
                stream.writelines(json.dumps(_row(number, row)) + "\n" for row in range(rows))
        lines.append(f"  source_{number}: {{uses: formatters/alpaca, with: {{path: {file.name}}}}}")
    names = ", ".join(f"source_{number}" for number in range(sources))
    lines.append(f"  mixed: {{uses: mixers/proportional, from: [{names}], with: {{size: {draws}}}}}")
    recipe = folder / "recipe.yaml"
    recipe.write_text("\n".join(lines) + "\n", "utf-8")
    return recipe


def _row(source: int, row: int) -> dict[str, str]:
    return {
        "instruction": f"Say how far stone {row} of heap {source} lies from the well.",
        "input": "",
        "output": f"It lies {(row * 7919 + source) % 997} paces away, behind the {row % 13}th hedge.",
    }


def _turn(recipe: Path, home: Home) -> dict[str, float]:
    """CPU seconds of the step and of the run around it, with a seed that no turn had before."""
    project = Project(compile(recipe, overrides=[f"steps.mixed.seed={time.time_ns() % 2**31}"]), home)
    began = time.process_time()
    outcome = runner.run(project)
    whole = time.process_time() - began
    manifest: dict[str, Any] = dict(outcome.artifacts["mixed"].manifest)
    project.store.remove(outcome.artifacts["mixed"])
    return {"step": manifest["cpu_seconds"], "run": whole}


def _table(turns: Sequence[dict[str, float]]) -> str:
    shown = {"the step": "step", "the run around it": "run"}
    lines = [f"{'':24}{'cpu s':>9}{'median':>9}"]
    for title, name in shown.items():
        times = [turn[name] for turn in turns]
        lines.append(f"{title:24}{min(times):>9.2f}{statistics.median(times):>9.2f}")
    return "\n".join([*lines, f"goal: a step of at most {GOAL:.0f}"])


if __name__ == "__main__":
    main()
