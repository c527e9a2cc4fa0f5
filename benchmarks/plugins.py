"""What a crowded environment costs: ``itune plugins list`` beside 500 other distributions against beside none.

Forty of the 500 publish itune plugins whose modules import torch at the top; none may be imported.

python benchmarks/plugins.py --repeats 9 --json benchmarks/results/plugins.json
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from timing import Contender, race, save, spent, table

GOAL = 2.0
DISTRIBUTIONS = 500
PLUGINS = 40


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--repeats", type=int, default=9)
    arguments.add_argument("--json", type=Path, help="where to write the result")
    given = arguments.parse_args()

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        crowd = folder / "crowd"
        _install(crowd)

        def listing(environment: dict[str, str], expected: int) -> Contender:
            def run(turn: int) -> dict[str, Any]:
                itune = [sys.executable, "-m", "itune_core.cli.main", "plugins", "list", "--json"]
                cpu, _, printed = spent(itune, folder=folder, environment=environment)
                listed = sum(row["distribution"].startswith("crowd-") for row in json.loads(printed))
                if listed != expected:
                    sys.exit(f"{listed} of {expected} plugins were listed")
                return {"cpu": cpu}

            return Contender(f"beside {DISTRIBUTIONS if expected else 'no other'}", run)

        base = listing({}, 0)
        contenders = [base, listing({"PYTHONPATH": str(crowd)}, PLUGINS)]
        for contender in contenders:
            contender.run(-1)  # files are read into the system's cache
        race(contenders, given.repeats)

    print(table(contenders, base))
    print(f"goal {GOAL:.2f}x")
    save(given.json, contenders, base, distributions=DISTRIBUTIONS, plugins=PLUGINS, goal=GOAL)


def _install(folder: Path) -> None:
    """Lay the distributions into `folder` as an installer would leave them."""
    for number in range(DISTRIBUTIONS):
        module = f"crowd_{number}"
        information = folder / f"{module}-1.0.dist-info"
        information.mkdir(parents=True)
        (information / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: crowd-{number}\nVersion: 1.0\nRequires-Dist: itune-core<1,>=0.1\n", "utf-8"
        )
        if number < PLUGINS:
            point = f"[itune.filters]\ncrowd-{number} = {module}:Crowd\n"
            # `plugins list` would end with an error if it were ever imported
            (folder / f"{module}.py").write_text("import torch\nraise SystemExit('imported')\n", "utf-8")
        else:
            point = f"[console_scripts]\ncrowd-{number} = {module}:main\n"
        (information / "entry_points.txt").write_text(point, "utf-8")


if __name__ == "__main__":
    main()
