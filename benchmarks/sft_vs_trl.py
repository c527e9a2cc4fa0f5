"""SFT of 64 Alpaca rows: ``itune run`` against plain TRL scripts.

LoRA r=16 on all linear layers of SmolLM2-135M, batch 8, max length 512, one epoch, learning rate 1e-4 falling linearly.
Whole processes are compared, start-up and saving included, one thread each, in CPU time and peak memory.

    python benchmarks/sft_vs_trl.py --repeats 3 --json sft_vs_trl.json
"""

from __future__ import annotations

import json
from typing import Any

from contest import Goal, contest, options, peer
from real_rows import alpaca_rows, write_jsonl
from timing import Contender
from training_recipe import bench, measure_machine, run_itune, write_recipe

FLOAT32, AUTO = "itune run, float32", "itune run, dtype: auto"
DTYPES = {FLOAT32: "float32", AUTO: "auto"}
TRL: dict[str, dict[str, Any]] = {
    "TRL": {},
    "TRL, no checkpointing": {"gradient_checkpointing": False},
    "TRL, packed": {"packing": True},  # fewer, larger steps: its loss is another one
}
GOALS = [
    Goal(FLOAT32, "TRL", 0.45),
    Goal(FLOAT32, "TRL, no checkpointing", 0.60),
    Goal(FLOAT32, "TRL, packed", 0.40),
    Goal(AUTO, "TRL", 0.30),
    Goal(FLOAT32, "TRL, no checkpointing", 0.50, "peak_mb"),
]


def main() -> None:
    given = options(__doc__, rows=64, repeats=3)
    with bench() as (folder, weights, tokenizer):
        rows = write_jsonl(alpaca_rows(tokenizer, given.rows), folder / "rows.jsonl")
        recipes = {name: write_recipe(folder, dtype, {"sft": "sft"}, dtype=dtype) for name, dtype in DTYPES.items()}
        measure_machine(recipes[AUTO])

        peers = [
            peer(name, "trl_sft.py", weights, rows, folder / "trl", json.dumps(settings), folder=folder)
            for name, settings in TRL.items()
        ]

        def ours(name: str) -> Contender:
            return Contender(name, lambda turn: run_itune(recipes[name], turn))

        contest(given, [*peers, *map(ours, recipes)], GOALS, equal=[(FLOAT32, "TRL")], within=1e-3)


if __name__ == "__main__":
    main()
