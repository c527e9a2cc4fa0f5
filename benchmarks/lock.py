"""What verifying a lock costs: every first-party distribution installed from its wheel, and held against the lock.

Wheels are built, installed into an environment of their own that sees the libraries of this one, and locked. Then, in a
process each, the CPU time of reading the lock and of comparing every file is measured, after the imports that compiling
a recipe makes anyway.

python benchmarks/lock.py --json benchmarks/results/lock.json
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

from timing import facts

ROOT = Path(__file__).resolve().parents[1]
GOAL = 0.150

RECIPE = """
itune: 1
name: locked
steps:
  rows: {uses: formatters/alpaca, with: {path: rows.jsonl}}
"""

MEASURE = """
import json, sys, time
from pathlib import Path
from itune_core.plugins import catalog
from itune_core.plugins.locks import drift, lock
recipe = Path(sys.argv[1])
begin = time.process_time()
found = lock.find(recipe)
read = time.process_time()
differences = drift.drifts(found, recipe, ["formatters/alpaca"])
end = time.process_time()
print(json.dumps([read - begin, end - read, len(differences), len(found.packages), len(found.distributions)]))
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--repeats", type=int, default=11, help="processes; the median counts")
    arguments.add_argument("--json", type=Path, help="where to write the result")
    given = arguments.parse_args()

    with tempfile.TemporaryDirectory(prefix="itune-bench-") as scratch:
        folder = Path(scratch)
        python = _environment(folder)
        recipe = folder / "recipe.yaml"
        recipe.write_text(RECIPE)
        (folder / "rows.jsonl").write_text("{}\n")
        _call(python, "-m", "itune_core.cli.main", "lock", str(recipe), "--find-links", str(folder / "wheels"))
        turns = [json.loads(_call(python, "-c", MEASURE, str(recipe))) for _ in range(given.repeats)]
    if any(turn[2] for turn in turns):
        raise SystemExit("the environment does not fit its own lock")
    read, compare = (statistics.median(turn[place] for turn in turns) for place in (0, 1))
    packages, plugins = turns[0][3:]
    print(
        f"{packages} packages, {plugins} plugin distributions: {1e3 * read:.1f} ms to read, {1e3 * compare:.1f} ms to"
    )
    print(f"compare, together {1e3 * (read + compare):.1f} ms of CPU (goal: at most {1e3 * GOAL:.0f} ms)")
    if given.json:
        result = {"packages": packages, "plugins": plugins, "read": read, "compare": compare, "goal": GOAL}
        given.json.write_text(json.dumps({**facts(), "seconds": result, "turns": turns}, indent=2) + "\n")


def _environment(folder: Path) -> Path:
    """A Python with every distribution of the workspace installed from its wheel."""
    wheels = folder / "wheels"
    sources = [ROOT, *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))]
    build = ["-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(wheels)]
    _call(Path(sys.executable), *build, *map(str, sources))
    libraries = folder / "libraries"
    libraries.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        ours = path.name.lower().startswith(("itune", "_editable", "__editable"))
        if not ours and path.suffix != ".pth":
            (libraries / path.name).symlink_to(path)
    venv.create(folder / "env", with_pip=False, symlinks=True)
    [site] = (folder / "env" / "lib").glob("python*/site-packages")
    (site / "libraries.pth").write_text(f"{libraries}\n")
    python = folder / "env" / "bin" / "python"
    _call(python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", *map(str, wheels.glob("*.whl")))
    return python


def _call(python: Path, *command: str) -> str:
    done = subprocess.run(
        [str(python), *command],
        env={**os.environ, "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{command} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
