"""Draw what `evaluators/rule-fit` found: residuals over predictions, and the loss over each indicator.

    itune show mined --json --rows 1000 > mined.json
    python examples/instruct-mining/plot.py mined.json mined.svg

Run `itune show` beside the recipe, or with the ITUNE_HOME of the run. Needs matplotlib.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

MIXTURES, STRATA = "tab:blue", "tab:orange"
COLUMNS = 3


def draw(results: list[dict[str, Any]], figures: dict[str, float], out: Path) -> None:
    """Write the panels to `out`, in the format of its suffix."""
    from matplotlib.figure import Figure

    mixtures = [row for row in results if row["sorted_by"] is None]
    indicators = [name.removeprefix("mean.") for name in results[0] if name.startswith("mean.")]
    rows = -(-(1 + len(indicators)) // COLUMNS)
    page = Figure(figsize=(4 * COLUMNS, 3 * rows), layout="constrained")
    first, *others = page.subplots(rows, COLUMNS, squeeze=False).ravel()

    first.scatter([row["predicted"] for row in mixtures], [row["residual"] for row in mixtures], s=12, color=MIXTURES)
    first.axhline(0, color="gray", linewidth=0.8)
    first.set(xlabel="predicted log loss", ylabel="residual", title=f"{figures['predictors']:.0f} predictors")
    for panel, name in zip(others, indicators, strict=False):
        strata = [row for row in results if row["sorted_by"] == name]
        for of, colour, label in ((mixtures, MIXTURES, "mixtures"), (strata, STRATA, "strata")):
            if of:
                means, losses = [row[f"mean.{name}"] for row in of], [row["loss"] for row in of]
                panel.scatter(means, losses, s=12, color=colour, label=label)
        rho = figures.get(f"{name}.rho")
        panel.set(xlabel=f"mean {name}", ylabel="loss", title="" if rho is None else f"rank correlation {rho:+.2f}")
        if strata:
            panel.legend()
    for panel in others[len(indicators) :]:
        panel.set_axis_off()
    page.savefig(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shown", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    shown = json.loads(given.shown.read_text("utf-8"))
    draw(shown["results"], shown["metrics"][""], given.out)


if __name__ == "__main__":
    main()
