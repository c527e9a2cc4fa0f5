"""Answers of a local model: ``itune run`` against plain loops over ``generate``, one row at a time and in batches.

Alpaca instructions, greedy answers of at most 128 tokens by SmolLM2-135M in float32; whole processes, one thread each,
in CPU time. All write the same answers, but for those where rounding tips the choice between two tokens: how many
tokens there are is compared, and how many answers are equal is printed.

    python benchmarks/generation.py --rows 64 --repeats 3 --json generation.json
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from contest import Goal, contest, options, peer
from real_rows import alpaca_rows, write_jsonl
from timing import Contender, spent
from training_recipe import ITUNE, MODEL, bench, new_home

OURS, SINGLE, FIXED = "itune run, generators/distill", "plain loop, one row", "plain loop, batches of 8"
GOALS = [Goal(OURS, SINGLE, 1 / 4), Goal(OURS, FIXED, 1 / 1.3)]
TOKENS = 128
"""Most new tokens of an answer."""

WITHIN = 0.03
"""The numbers of tokens may be so far apart: an answer that rounding has changed may end elsewhere."""


def main() -> None:
    given = options(__doc__, rows=64, repeats=3)
    with bench() as (folder, weights, tokenizer):
        rows = write_jsonl(alpaca_rows(tokenizer, given.rows), folder / "rows.jsonl")
        recipe = _recipe(folder)
        found = {name: folder / f"{number}.json" for number, name in enumerate((SINGLE, FIXED, OURS))}
        single, fixed = (
            peer(name, "plain_generate.py", weights, rows, size, TOKENS, found[name], folder=folder)
            for name, size in ((SINGLE, 1), (FIXED, 8))
        )
        ours = Contender(OURS, lambda turn: _run(recipe, turn, found[OURS]))
        equal = [(OURS, SINGLE), (OURS, FIXED)]
        contest(given, [single, fixed, ours], GOALS, equal=equal, within=WITHIN, tokens=TOKENS)
        answers = {name: json.loads(file.read_text("utf-8")) for name, file in found.items()}
    for contender in (single, fixed, ours):
        print(f"{contender.name}: {contender.turns[-1]['loss'] / contender.cpu:.1f} tokens a CPU second")
    for one, other in ((OURS, SINGLE), (FIXED, SINGLE)):
        same = sum(a.strip() == b.strip() for a, b in zip(answers[one], answers[other], strict=True))
        print(f"equal answers, {one} / {other}: {same} of {given.rows}")


def _recipe(folder: Path) -> Path:
    recipe = {
        "itune": 1,
        "name": "generation",
        "models": {"student": {"backend": "transformers", "model": MODEL, "dtype": "float32", "device": "cpu"}},
        "steps": {
            "rows": {"uses": "formatters/messages", "with": {"path": "rows.jsonl"}},
            "said": {
                "uses": "generators/distill",
                "from": "rows",
                "with": {"model": "student", "max_tokens": TOKENS, "unfinished": "keep"},
            },
        },
    }
    path = folder / "generation.yaml"
    path.write_text(json.dumps(recipe, indent=1), "utf-8")  # JSON is YAML
    return path


def _run(recipe: Path, turn: int, found: Path) -> dict[str, Any]:
    """``itune run`` with an empty store: what it uses, and the tokens it wrote. Its answers go into `found`."""
    import sqlite3

    home = new_home(recipe, turn)
    environment = {"ITUNE_HOME": str(home)}
    used = spent([*ITUNE, "run", recipe.name, "--offline"], folder=recipe.parent, environment=environment)
    shown = spent([*ITUNE, "show", "said", "--json", "--rows", "100000"], folder=recipe.parent, environment=environment)
    records = json.loads(shown.printed)["rows"]["records"]
    found.write_text(json.dumps([record["messages"][-1]["content"] for record in records]), "utf-8")
    journal = sqlite3.connect(home / "journal.sqlite")
    ((tokens,),) = journal.execute("SELECT SUM(json_extract(answer, '$.completion_tokens')) FROM answers").fetchall()
    journal.close()
    shutil.rmtree(home)
    return {"cpu": used.cpu, "peak_mb": used.peak_mb, "loss": tokens}


if __name__ == "__main__":
    main()
