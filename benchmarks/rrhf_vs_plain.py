"""RRHF on lists of four answers: ``itune run`` against a plain loop that computes the full logits of padded rows.

Questions of the Vicuna bench with the answers and scores of four models. LoRA r=16 on all linear layers of
SmolLM2-135M, two questions a step, learning rate 1e-4 falling linearly; whole processes, one thread each, in CPU time
and peak memory.

    python benchmarks/rrhf_vs_plain.py --rows 8 --repeats 3 --json rrhf_vs_plain.json
"""

from __future__ import annotations

from contest import Goal, contest, options, peer
from real_rows import vicuna_lists, write_jsonl
from timing import Contender
from training_recipe import bench, measure_machine, run_itune, write_recipe

PLAIN, FLOAT32, AUTO = "plain loop, float32", "itune run, float32", "itune run, dtype: auto"
DTYPES = {FLOAT32: "float32", AUTO: "auto"}
GOALS = [Goal(FLOAT32, PLAIN, 0.50)]


def main() -> None:
    given = options(__doc__, rows=8, repeats=3)
    with bench() as (folder, weights, tokenizer):
        rows = write_jsonl(vicuna_lists(tokenizer, given.rows), folder / "rows.jsonl")
        formatter = {"uses": "formatters/ultrafeedback", "with": {"score": "overall"}}
        recipes = {
            name: write_recipe(folder, dtype, {"rrhf": "rrhf"}, formatter, dtype=dtype, batch_size=2)
            for name, dtype in DTYPES.items()
        }
        measure_machine(recipes[AUTO])

        def ours(name: str) -> Contender:
            return Contender(name, lambda turn: run_itune(recipes[name], turn, "rrhf"))

        plain = peer(PLAIN, "plain_rrhf.py", weights, rows, folder=folder)
        contest(given, [plain, *map(ours, recipes)], GOALS, equal=[(FLOAT32, PLAIN)], within=1e-3)


if __name__ == "__main__":
    main()
