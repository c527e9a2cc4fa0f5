"""Four objectives over the same pairs of hh-rlhf: one ``itune run`` of four steps against four TRL runs.

Ours share the tokens and the reference's log-probabilities; TRL's compute them once each (precomputed, without
checkpointing: its fastest way here). The rest is as in ``dpo_vs_trl.py``.

    python benchmarks/objectives_vs_trl.py --rows 8 --repeats 2 --json objectives_vs_trl.json
"""

from __future__ import annotations

import json
from typing import Any

from contest import Goal, contest, options, peer
from real_rows import hh_pairs, write_jsonl
from timing import Contender
from training_recipe import bench, run_itune, write_recipe

OBJECTIVES = {"dpo": "sigmoid", "ipo": "ipo", "slic-norm": "hinge", "apo-zero": "apo_zero"}
"""Our name and TRL's."""

DEFAULTS, PRECOMPUTED, OURS = (
    "TRL, four runs",
    "TRL, four runs, reference precomputed",
    "itune run, four steps, float32",
)
TRL: dict[str, dict[str, Any]] = {
    DEFAULTS: {},
    PRECOMPUTED: {"gradient_checkpointing": False, "precompute_ref_log_probs": True},
}
GOALS = [Goal(OURS, DEFAULTS, 0.35)]


def main() -> None:
    given = options(__doc__, rows=8, repeats=2)
    with bench() as (folder, weights, tokenizer):
        rows = write_jsonl(hh_pairs(tokenizer, given.rows), folder / "rows.jsonl")
        steps = {name.replace("-", "_"): name for name in OBJECTIVES}
        recipe = write_recipe(
            folder, "four", steps, {"uses": "formatters/pairs"}, dtype="float32", batch_size=4, beta=0.1
        )

        def trl(name: str) -> Contender:
            def run(turn: int) -> dict[str, Any]:
                found = []
                for loss in OBJECTIVES.values():
                    settings = json.dumps({**TRL[name], "loss_type": [loss]})
                    one = peer(loss, "trl_dpo.py", weights, rows, folder / "trl", settings, folder=folder)
                    found.append(one.run(turn))
                return {
                    "cpu": sum(one["cpu"] for one in found),
                    "peak_mb": max(one["peak_mb"] for one in found),
                    "loss": sum(one["loss"] for one in found),
                }

            return Contender(name, run)

        def ours(turn: int) -> dict[str, Any]:
            found = run_itune(recipe, turn, *steps)
            return {**found, "loss": sum(found["losses"].values())}

        contest(given, [*map(trl, TRL), Contender(OURS, ours)], GOALS, equal=[(OURS, DEFAULTS)], within=1e-3)


if __name__ == "__main__":
    main()
