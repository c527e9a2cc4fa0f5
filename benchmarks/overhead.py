"""What the engine costs: ``itune run`` against its own trainer called by hand, whole processes, in CPU time.

python benchmarks/overhead.py --repeats 3 --json overhead.json
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from alpaca_rows import alpaca_rows, write_jsonl
from sft_recipe import MODEL, measure_machine, run_itune, write_recipe
from timing import Contender, race, save, spent, table

GOAL = 1.03


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=64)
    arguments.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--json", type=Path, help="where to write the result")
    given = arguments.parse_args()

    from itune_core.cli.opening import TORCH_SETTINGS
    from itune_core.engine.digest import FileDigests
    from itune_core.engine.models import Resolver
    from itune_torch import load_tokenizer, resolve

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        source = Resolver(FileDigests(folder / "digests.json"), False, folder).find(MODEL)
        resolve(source)
        rows = write_jsonl(alpaca_rows(load_tokenizer(source), given.rows), folder / "rows.jsonl")
        recipe = write_recipe(folder, given.dtype)
        measure_machine(recipe)

        def by_hand(turn: int) -> dict[str, Any]:
            script = Path(__file__).parent / "peers" / "own_trainer.py"
            own = folder / f"own-{turn}"
            own.mkdir()
            cpu, printed = spent(
                [sys.executable, str(script), str(rows), str(own), given.dtype],
                folder=folder,
                environment=TORCH_SETTINGS,
            )
            return {"cpu": cpu, **json.loads(printed.splitlines()[-1])}

        base = Contender(f"trainer by hand, {given.dtype}", by_hand)
        contenders = [base, Contender(f"itune run, {given.dtype}", lambda turn: run_itune(recipe, turn))]
        race(contenders, given.repeats)

    print(table(contenders, base, ["loss"]))
    print(f"goal {GOAL:.2f}x")
    save(given.json, contenders, base, rows=given.rows, dtype=given.dtype)


if __name__ == "__main__":
    main()
