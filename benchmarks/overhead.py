"""What the engine costs: ``itune run`` against its own trainer called by hand, whole processes, in CPU time.

python benchmarks/overhead.py --repeats 3 --json overhead.json
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from real_rows import alpaca_rows, write_jsonl
from timing import Contender, race, save, spent, table
from training_recipe import bench, measure_machine, run_itune, write_recipe

GOAL = 1.03


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=64)
    arguments.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--json", type=Path, help="where to write the result")
    given = arguments.parse_args()

    from itune_core.cli.opening import TORCH_SETTINGS

    with bench() as (folder, _, tokenizer):
        rows = write_jsonl(alpaca_rows(tokenizer, given.rows), folder / "rows.jsonl")
        recipe = write_recipe(folder, given.dtype, {"sft": "sft"}, dtype=given.dtype)
        measure_machine(recipe)

        def by_hand(turn: int) -> dict[str, Any]:
            script = Path(__file__).parent / "peers" / "own_trainer.py"
            own = folder / f"own-{turn}"
            own.mkdir()
            used = spent(
                [sys.executable, str(script), str(rows), str(own), given.dtype],
                folder=folder,
                environment=TORCH_SETTINGS,
            )
            return {"cpu": used.cpu, **json.loads(used.printed.splitlines()[-1])}

        base = Contender(f"trainer by hand, {given.dtype}", by_hand)
        contenders = [base, Contender(f"itune run, {given.dtype}", lambda turn: run_itune(recipe, turn))]
        race(contenders, given.repeats)

    print(table(contenders, base, ["loss"]))
    print(f"goal {GOAL:.2f}x")
    save(given.json, contenders, base, rows=given.rows, dtype=given.dtype)


if __name__ == "__main__":
    main()
