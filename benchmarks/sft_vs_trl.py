"""SFT of 64 Alpaca rows: ``itune run`` against a plain TRL script.

LoRA r=16 on all linear layers of SmolLM2-135M, batch 8, max length 512, one epoch, learning rate 1e-4 falling linearly.
Whole processes are compared, start-up and saving included, one thread each, in CPU time.

    python benchmarks/sft_vs_trl.py --repeats 3 --json sft_vs_trl.json
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

GOALS = {"itune run, float32": 0.50, "itune run, dtype: auto": 0.35}
"""Most CPU time as a share of TRL's."""

SAME_LOSS = 1e-3
"""Largest relative difference of the mean loss, in float32 on both sides; the adapters start from different draws."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=64)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--json", type=Path, help="where to write the result")
    given = arguments.parse_args()

    from itune_core.engine.digest import FileDigests
    from itune_core.engine.models import Resolver
    from itune_torch import load_tokenizer, resolve

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        source = Resolver(FileDigests(folder / "digests.json"), False, folder).find(MODEL)
        weights = resolve(source)  # converted once for a machine, before anything is timed
        rows = write_jsonl(alpaca_rows(load_tokenizer(source), given.rows), folder / "rows.jsonl")
        recipes = {dtype: write_recipe(folder, dtype) for dtype in ("float32", "auto")}
        measure_machine(recipes["auto"])

        def trl(turn: int) -> dict[str, Any]:
            script = Path(__file__).parent / "peers" / "trl_sft.py"
            command = [sys.executable, str(script), str(weights), str(rows), str(folder / f"trl-{turn}")]
            cpu, printed = spent(command, folder=folder)
            return {"cpu": cpu, **json.loads(printed.splitlines()[-1])}

        base = Contender("TRL SFTTrainer, float32", trl)
        contenders = [
            Contender("itune run, float32", lambda turn: run_itune(recipes["float32"], turn)),
            base,
            Contender("itune run, dtype: auto", lambda turn: run_itune(recipes["auto"], turn)),
        ]
        race(contenders, given.repeats)

    print(table(contenders, base, ["loss"]))
    difference = abs(contenders[0].turns[-1]["loss"] / base.turns[-1]["loss"] - 1)
    print(f"mean loss in float32 differs by {difference:.1e} (at most {SAME_LOSS:.0e})")
    for contender in contenders:
        if contender.name in GOALS:
            print(f"{contender.name}: {contender.cpu / base.cpu:.2f}x, goal {GOALS[contender.name]:.2f}x")
    save(given.json, contenders, base, rows=given.rows, loss_difference=difference)


if __name__ == "__main__":
    main()
