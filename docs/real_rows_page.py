"""Write ``docs/real-rows.md``: what becomes of all the real rows that the formatters are tried on.

The recipe ``docs/real_rows.yaml`` is run, a step for each formatter and data set; the page is its books. The rows are
not part of the project: ``ITUNE_TEST_DATA`` names their folder (default: ``shared/data`` beside the repository), and
where it is missing the script says so and leaves the page alone. ``--check`` compares the page.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from generated import write_or_check

DOCS = Path(__file__).resolve().parent
RECIPE = DOCS / "real_rows.yaml"
DATA = Path(os.environ.get("ITUNE_TEST_DATA", DOCS.parents[1] / "shared" / "data"))
NOTE = "<!-- Written by docs/real_rows_page.py from a run of docs/real_rows.yaml. Change that, then run it. -->"
INTRODUCTION = """\
Every formatter, run over all the real rows at hand that fit it. The data sets are public; where each comes from, and
under which licence, stands in the notes of its formatter (see [the components](components/formatters.md)). None of
their rows is part of itune. The recipe is `docs/real_rows.yaml`, and each line is the ledger of one of its steps: rows
read = rows used + dropped + failed, checked by the engine when the step ends. A row may become several records.
"""

READ_BY_EYE = """\
The six failures are rows whose `output` is missing: that file holds pairs of outputs. No row of UltraFeedback, SHP,
TL;DR, LIMA, ichikara or KoAlpaca 1.1 was at hand: those formatters are tested on rows made by hand from the published
schemas alone, and `templates` on a made-up row for each of the 15 data sets that the 146 templates at hand are of.

Read by eye on 2026-11-21, one record drawn at random from each of these steps (its number from 0): `alpaca` 34524,
`dolly` 715, `koalpaca` 143, `japanese` 356, `seed_tasks` 155, `gsm8k` 42, `mmlu` 345, `jsquad` 18, `tasks` 16,
`flan_options` 92, `hh` 164, `oasst_table` 46, `oasst_ranking` 89, `sharegpt_tools` 87, `sharegpt_pairs` 84,
`alpaca_eval` 609, `kto` 186, `shakespeare` 403.
"""


def page(recipe: Mapping[str, Any], steps: Mapping[str, Any]) -> Iterator[str]:
    """The lines of the page."""
    yield from ("# Real rows", "", NOTE, "", INTRODUCTION)
    yield "| step | formatter | rows of | read | records | dropped | failed |"
    yield "|---|---|---|---:|---:|---|---|"
    total = {"read": 0, "records": 0, "dropped": 0, "failed": 0}
    for name, step in recipe["steps"].items():
        counts = steps[name]["counts"]
        made = steps[name]["outputs"]["records"]["rows"]
        total["read"] += counts["inputs"]
        total["records"] += made
        total["dropped"] += sum(counts["dropped"].values())
        total["failed"] += sum(counts["failed"].values())
        label = step["uses"].removeprefix("formatters/")
        yield (
            f"| `{name}` | `{label}` | `{_short(step['with']['path'])}` | {counts['inputs']:,} | {made:,} "
            f"| {_reasons(counts['dropped'])} | {_reasons(counts['failed'])} |"
        )
    yield (
        f"| all {len(recipe['steps'])} | | | {total['read']:,} | {total['records']:,} "
        f"| {total['dropped']:,} | {total['failed']:,} |"
    )
    yield from ("", READ_BY_EYE, "## The recipe", "", "```{literalinclude} real_rows.yaml", ":language: yaml", "```")


def _short(path: str | list[str]) -> str:
    return ", ".join(item.removeprefix("${vars.data}/") for item in ([path] if isinstance(path, str) else path))


def _reasons(counts: Mapping[str, int]) -> str:
    return ", ".join(f"`{reason}` {count:,}" for reason, count in counts.items())


def run() -> dict[str, Any]:
    """The steps of a run of the recipe from an empty store, as its record keeps them."""
    command = [sys.executable, "-m", "itune_core.cli.main", "run", str(RECIPE), "--set", f"vars.data={DATA}", "--json"]
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            command, env={**os.environ, "ITUNE_HOME": home}, capture_output=True, text=True, check=False
        )
    if done.returncode:
        sys.exit(done.stderr)
    steps: dict[str, Any] = json.loads(done.stdout)["steps"]
    return steps


def main() -> int:
    if not (DATA / "alpaca").is_dir():
        print(f"no real rows in {DATA}: docs/real-rows.md is left as it is", file=sys.stderr)
        return 0
    lines = page(yaml.safe_load(RECIPE.read_text("utf-8")), run())
    return write_or_check("real_rows_page.py", {"real-rows.md": "\n".join(lines) + "\n"})


if __name__ == "__main__":
    sys.exit(main())
