"""The quickstart as a user runs it: wall-clock time, CPU time and peak memory of one process, from an empty store.

python benchmarks/quickstart.py --json quickstart.json

The model is fetched before, and all cores are used.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from timing import QUIET, facts

RECIPE = Path(__file__).parents[1] / "examples" / "quickstart" / "recipe.yaml"
MEMORY_GOAL = 3.0  # GB
WALL_GOAL = 360.0  # seconds


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--json", type=Path, help="where to write the result")
    given = arguments.parse_args()

    itune = [sys.executable, "-m", "itune_core.cli.main"]
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, **QUIET, "ITUNE_HOME": home}
        subprocess.run([*itune, "fetch", str(RECIPE)], env=environment, check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(home)
        began = time.monotonic()
        process = subprocess.Popen(
            [*itune, "run", str(RECIPE), "--json"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert process.stdout is not None
        record = json.loads(process.stdout.read())
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        result = {
            "wall_seconds": round(time.monotonic() - began, 1),
            "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
            "peak_memory_gb": round(usage.ru_maxrss * 1024 / 1e9, 2),
            "goals": {"wall_seconds": WALL_GOAL, "peak_memory_gb": MEMORY_GOAL},
            "steps": {name: step["seconds"] for name, step in record["steps"].items()},
            **facts(),
        }
    print(json.dumps(result, indent=2))
    if given.json:
        given.json.write_text(json.dumps(result, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
