"""DPO on pairs of hh-rlhf: ``itune run`` against a bare loop and plain TRL scripts.

LoRA r=16 on all linear layers of SmolLM2-135M, beta 0.1, batch 4, max length 512, one epoch, learning rate 1e-4 falling
linearly. Whole processes are compared, start-up and saving included, one thread each, in CPU time and peak memory. The
bare loop (``peers/bare_dpo.py``) is the limit of what a framework can reach.

    python benchmarks/dpo_vs_trl.py --rows 8 --repeats 3 --json dpo_vs_trl.json
"""

from __future__ import annotations

import json
from typing import Any

from contest import Goal, contest, options, peer
from real_rows import hh_pairs, write_jsonl
from timing import Contender
from training_recipe import bench, measure_machine, run_itune, write_recipe

BARE, FLOAT32, AUTO = "bare loop, float32", "itune run, float32", "itune run, dtype: auto"
DTYPES = {FLOAT32: "float32", AUTO: "auto"}
TRL: dict[str, dict[str, Any]] = {
    "TRL": {},
    "TRL, no checkpointing": {"gradient_checkpointing": False},
    "TRL, reference precomputed": {"gradient_checkpointing": False, "precompute_ref_log_probs": True},
}
GOALS = [
    Goal(FLOAT32, "TRL", 0.50),
    Goal(FLOAT32, "TRL, no checkpointing", 0.50),
    Goal(FLOAT32, "TRL, reference precomputed", 0.65),
    Goal(AUTO, "TRL", 0.30),
    Goal(FLOAT32, "TRL, no checkpointing", 0.50, "peak_mb"),
]


def main() -> None:
    given = options(__doc__, rows=8, repeats=3)
    with bench() as (folder, weights, tokenizer):
        rows = write_jsonl(hh_pairs(tokenizer, given.rows), folder / "rows.jsonl")
        recipes = {
            name: write_recipe(
                folder, dtype, {"dpo": "dpo"}, {"uses": "formatters/pairs"}, dtype=dtype, batch_size=4, beta=0.1
            )
            for name, dtype in DTYPES.items()
        }
        measure_machine(recipes[AUTO])

        peers = [
            peer(name, "trl_dpo.py", weights, rows, folder / "trl", json.dumps(settings), folder=folder)
            for name, settings in TRL.items()
        ]

        def ours(name: str) -> Contender:
            return Contender(name, lambda turn: run_itune(recipes[name], turn, "dpo"))

        bare = peer(BARE, "bare_dpo.py", weights, rows, folder=folder)
        contenders = [*peers, bare, *map(ours, recipes)]
        contest(given, contenders, GOALS, equal=[(FLOAT32, "TRL"), (BARE, "TRL")], within=1e-3)


if __name__ == "__main__":
    main()
