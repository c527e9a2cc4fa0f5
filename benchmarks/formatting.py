"""Formatting: all 52,002 Alpaca rows against one batched ``datasets.map`` written by hand, in CPU time of whole
processes at equal records; and how peak memory grows from 100,000 to 1,000,000 made-up rows.

python benchmarks/formatting.py --repeats 3 --json formatting.json
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from real_rows import data_folder
from timing import QUIET, THREADS, Contender, race, save, spent, table

CPU_GOAL = 1.5
MEMORY_GOAL = 1.2
SIZES = (100_000, 1_000_000)
ITUNE = (sys.executable, "-m", "itune_core.cli.main")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--json", type=Path, help="where to write the result")
    given = arguments.parse_args()

    rows = data_folder() / "alpaca" / "alpaca_data.jsonl.gz"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        saved: dict[str, Path] = {}

        def by_hand(turn: int) -> dict[str, Any]:
            own = folder / f"map-{turn}"
            own.mkdir()
            script = Path(__file__).parent / "peers" / "map_alpaca.py"
            cpu, _, printed = spent([sys.executable, str(script), str(rows), str(own)], folder=folder)
            saved["map"] = own / "records"
            return {"cpu": cpu, **json.loads(printed.splitlines()[-1])}

        def ours(turn: int) -> dict[str, Any]:
            home = folder / f"home-{turn}"
            cpu, *_ = spent(
                [*ITUNE, "run", str(_recipe(folder, rows))], folder=folder, environment={"ITUNE_HOME": str(home)}
            )
            (saved["itune"],) = home.glob("store/**/records")
            return {"cpu": cpu}

        base = Contender("batched datasets.map by hand", by_hand)
        contenders = [base, Contender("itune run, formatters/alpaca", ours)]
        # first: a process counts what its parent held when it was started, and this one is still small
        peaks = {size: _peak(folder, size) for size in SIZES}
        race(contenders, given.repeats)
        _check_equal(saved["map"], saved["itune"])

    growth = peaks[SIZES[1]] / peaks[SIZES[0]]
    print(table(contenders, base))
    print(f"goal {CPU_GOAL:.2f}x; the records are equal")
    print(", ".join(f"{size:,} rows: {peak:.0f} MB" for size, peak in peaks.items()), f"at most, {growth:.2f}x")
    print(f"goal {MEMORY_GOAL:.2f}x")
    goals = {"cpu": CPU_GOAL, "memory": MEMORY_GOAL}
    save(given.json, contenders, base, goals=goals, peak_memory_mb=peaks, memory_growth=growth)


def _recipe(folder: Path, rows: Path) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(
        f"itune: 1\nname: formatting\nsteps:\n  rows: {{uses: formatters/alpaca, with: {{path: {rows}}}}}\n", "utf-8"
    )
    return path


def _check_equal(one: Path, other: Path) -> None:
    """End the benchmark if what the contenders saved is not the same conversations in the same order."""
    import datasets

    first, second = (datasets.load_from_disk(str(path)).with_format("arrow")[:]["messages"] for path in (one, other))
    if first.to_pylist() != second.to_pylist():
        sys.exit("the records differ")


def _peak(folder: Path, size: int) -> float:
    """Most memory that ``itune run`` holds while it formats `size` made-up rows, in MB."""
    rows = folder / f"{size}.jsonl"
    with rows.open("w", encoding="utf-8") as stream:
        for number in range(size):
            row = {"instruction": f"Count from {number} to {number + 7}.", "input": "", "output": f"{number}, " * 40}
            stream.write(json.dumps(row) + "\n")
    home = folder / f"home-{size}"
    process = subprocess.Popen(
        [*ITUNE, "run", str(_recipe(folder, rows))],
        env={**os.environ, **THREADS, **QUIET, "ITUNE_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"itune run ended with {process.returncode}")
    shutil.rmtree(home)
    rows.unlink()
    return usage.ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    main()
