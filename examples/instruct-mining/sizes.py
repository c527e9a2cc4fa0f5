"""Search how many rows to select: BlendSearch proposes a size, `itune run` selects, trains and measures, and so on.

    python examples/instruct-mining/sizes.py --out sizes.json -- --set vars.data=/the/data

What stands after ``--`` goes to every ``itune run``; it must be what the study itself was run with, so that its rule is
taken from the store. Needs ``pip install 'flaml[blendsearch]'``. Every measured size is written to the file at once.
Started again, the search proposes the same sizes. What is known of them is taken from the store, which knows what it
was measured with; the file is only written.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

RECIPE = Path(__file__).with_name("recipe.yaml")
SELECTION, STEP = "sized", "size_loss"


def run(step: str, size: int, arguments: list[str]) -> dict[str, Any]:
    """What the step left for a selection of `size` rows; taken from the store if it is there."""
    itune = [sys.executable, "-m", "itune_core.cli.main"]
    chosen = ["--only", step, *arguments, "--set", f"vars.size={size}"]
    subprocess.run([*itune, "run", str(RECIPE), *chosen], check=True)
    shown = subprocess.run(
        [*itune, "show", step, "--json", "--rows", "0"], check=True, capture_output=True, cwd=RECIPE.parent
    )
    left: dict[str, Any] = json.loads(shown.stdout)
    return left


def available(size: int, arguments: list[str]) -> int:
    """How many rows there are to select from, those left out that have no prediction."""
    counts = run(SELECTION, size, arguments)["counts"]
    return int(counts["inputs"]) - sum(counts["failed"].values())


def measure(size: int, arguments: list[str]) -> float:
    """The inference loss of a model that is trained on the `size` rows with the lowest predictions."""
    (figures,) = run(STEP, size, arguments)["metrics"].values()
    return float(figures["example_mean"])


def search(least: int, most: int, points: int, out: Path, arguments: list[str]) -> dict[int, float]:
    """Loss by size, at `points` different sizes at most.

    Raises:
        SystemExit: there are fewer than `most` rows to select from. All sizes beyond would be one selection.
    """
    from flaml import BlendSearch, tune

    rows = available(least, arguments)
    if most > rows:
        raise SystemExit(f"there are {rows} rows to select from, and sizes up to {most}: lower --most")
    losses: dict[int, float] = {}

    def evaluate(config: dict[str, int]) -> dict[str, float]:
        size = int(config["size"])
        if size not in losses:
            losses[size] = measure(size, arguments)
            found = {"arguments": arguments, "rows": rows, "losses": losses}
            out.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
        print(f"{size} rows: {losses[size]:.4f} nats per token", flush=True)
        return {"loss": losses[size]}

    proposing = BlendSearch(
        metric="loss",
        mode="min",
        space={"size": tune.lograndint(least, most)},
        # both ends and the middle first: from one end alone, eight steps would not come far
        points_to_evaluate=[{"size": size} for size in (least, round((least * most) ** 0.5), most)],
        cost_attr=None,  # not the time it took: what is in the store takes little, and would change the search
        seed=29,
    )
    tune.run(evaluate, search_alg=proposing, num_samples=points, verbose=0)
    return losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--least", type=int, default=16, help="smallest size")
    parser.add_argument("--most", type=int, default=256, help="largest size; at most what there is to select from")
    parser.add_argument("--points", type=int, default=8, help="how many sizes are proposed")
    parser.add_argument("--out", type=Path, required=True, help="file that what was measured is written to")
    parser.add_argument("arguments", nargs="*", help="of every itune run, after --")
    given = parser.parse_args()
    if not 1 <= given.least < given.most:
        parser.error("--least is at least 1, and below --most")
    found = search(given.least, given.most, given.points, given.out, given.arguments)
    best = min(found, key=lambda size: (found[size], size))
    print(f"best of {len(found)} sizes: {best} rows, {found[best]:.4f} nats per token")


if __name__ == "__main__":
    main()
