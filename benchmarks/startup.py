"""What it costs to ask itune something small: ``itune --help`` and ``itune plugins list`` against their own libraries.

The base is a Python process that imports typer, pydantic, pluggy and stevedore, and does nothing with them.

python benchmarks/startup.py --repeats 15 --json benchmarks/results/startup.json
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from timing import Contender, race, save, spent

GOAL = 1.5
LIBRARIES = ("typer", "pydantic", "pluggy", "stevedore")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--repeats", type=int, default=15, help="turns of each, after one that is not counted")
    arguments.add_argument("--json", type=Path, help="where to write the result")
    given = arguments.parse_args()

    itune = str(Path(sys.executable).with_name("itune"))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        base = _contender("import only", [sys.executable, "-c", f"import {', '.join(LIBRARIES)}"], folder)
        contenders = [
            base,
            _contender("itune --help", [itune, "--help"], folder),
            _contender("itune plugins list", [itune, "plugins", "list"], folder),
        ]
        for contender in contenders:
            contender.run(-1)  # bytecode is compiled and files are read into the system's cache
        race(contenders, given.repeats)
    print(_table(contenders, base))
    medians = {contender.name: _median(contender) for contender in contenders}
    save(given.json, contenders, base, goal=GOAL, medians=medians)


def _contender(name: str, command: Sequence[str], folder: Path) -> Contender:
    return Contender(name, lambda turn: {"cpu": spent(command, folder=folder).cpu})


def _median(contender: Contender) -> float:
    return statistics.median(float(turn["cpu"]) for turn in contender.turns)


def _table(contenders: Sequence[Contender], base: Contender) -> str:
    """Median CPU time in milliseconds, the least and the most, and the ratio of the medians."""
    lines = [f"{'':22}{'median ms':>11}{'least':>8}{'most':>8}{'ratio':>8}{'goal':>8}"]
    for contender in contenders:
        times = sorted(float(turn["cpu"]) * 1000 for turn in contender.turns)
        ratio = _median(contender) / _median(base)
        goal = "" if contender is base else f"{GOAL:.2f}x"
        lines.append(
            f"{contender.name:22}{_median(contender) * 1000:>11.0f}{times[0]:>8.0f}{times[-1]:>8.0f}"
            f"{ratio:>7.2f}x{goal:>8}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
