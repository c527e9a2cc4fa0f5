"""Search how many rows to select: BlendSearch proposes a size, `itune run` selects, trains and measures, and so on.

    python examples/instruct-mining/sizes.py --out sizes.json -- --set vars.data=/the/data

What stands after ``--`` goes to every ``itune run``; it must be what the study itself was run with, so that its rule is
taken from the store. Needs ``pip install 'flaml[blendsearch]'``. Every measured size is written to the file at once.
Started again, the search proposes the same sizes, takes the known ones from the file, and goes on.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

RECIPE = Path(__file__).with_name("recipe.yaml")
STEP = "size_loss"


def measure(size: int, arguments: list[str]) -> float:
    """The inference loss of a model that is trained on the `size` rows with the lowest predictions."""
    itune = [sys.executable, "-m", "itune_core.cli.main"]
    chosen = ["--only", STEP, *arguments, "--set", f"vars.size={size}"]
    subprocess.run([*itune, "run", str(RECIPE), *chosen], check=True)
    shown = subprocess.run([*itune, "show", STEP, "--json"], check=True, capture_output=True, cwd=RECIPE.parent)
    (figures,) = json.loads(shown.stdout)["metrics"].values()
    return float(figures["example_mean"])


def search(least: int, most: int, points: int, out: Path, arguments: list[str]) -> dict[int, float]:
    """Loss by size, at `points` different sizes at most."""
    from flaml import BlendSearch, tune

    known = {int(size): loss for size, loss in json.loads(out.read_text("utf-8")).items()} if out.exists() else {}
    asked: dict[int, float] = {}

    def evaluate(config: dict[str, int]) -> dict[str, float]:
        size = int(config["size"])
        if size not in known:
            known[size] = measure(size, arguments)
            out.write_text(json.dumps(known, indent=1) + "\n", "utf-8")
        asked[size] = known[size]
        print(f"{size} rows: {known[size]:.4f} nats per token", flush=True)
        return {"loss": known[size]}

    proposing = BlendSearch(
        metric="loss",
        mode="min",
        space={"size": tune.lograndint(least, most)},
        # both ends and the middle first: from one end alone, eight steps would not come far
        points_to_evaluate=[{"size": size} for size in (least, round((least * most) ** 0.5), most)],
        cost_attr=None,  # not the time it took: what is read from the file takes none, and would change the search
        seed=29,
    )
    tune.run(evaluate, search_alg=proposing, num_samples=points, verbose=0)
    return asked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--least", type=int, default=16, help="smallest size")
    parser.add_argument("--most", type=int, default=256, help="largest size; at most what there is to select from")
    parser.add_argument("--points", type=int, default=8, help="how many sizes are proposed")
    parser.add_argument("--out", type=Path, required=True, help="file of what was measured")
    parser.add_argument("arguments", nargs="*", help="of every itune run, after --")
    given = parser.parse_args()
    found = search(given.least, given.most, given.points, given.out, given.arguments)
    best = min(found, key=lambda size: (found[size], size))
    print(f"best of {len(found)} sizes: {best} rows, {found[best]:.4f} nats per token")


if __name__ == "__main__":
    main()
