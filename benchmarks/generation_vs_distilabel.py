"""Answers of a server: ``itune run`` against distilabel, on the same prompts and the same test server.

Instructions of Self-Instruct's seed tasks, one request each, a server that takes 200 ms to answer (``itune mock-llm``).
Three things are compared, whole processes each time:

- *clean*: wall time (nearly all of it is waiting and starting), taking turns;
- *broken bodies*: with 5 % of all replies 200 and no JSON, how many rows are lost;
- *kill*: killed after half of the answers and begun again, how many requests are repeated that the server had
  answered, and how many rows come out in the end. What does not end within a minute is stopped. The answers take 200 to
  300 ms there. One that the server has sent and nobody has read yet when the kill comes is asked for again.

distilabel lives in an environment of its own, whose Python this is told of; it needs ``requests`` and does not declare
it::

    python -m venv distilabel && distilabel/bin/pip install 'distilabel[openai]==1.5.3' requests
    ITUNE_DISTILABEL=distilabel/bin/python python benchmarks/generation_vs_distilabel.py --json result.json
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import urlopen

from contest import PEERS
from real_rows import data_folder
from timing import QUIET, THREADS, facts
from training_recipe import ITUNE

OURS, THEIRS = "itune run, generators/distill", "distilabel, TextGeneration"
GOAL = 0.5
"""Our wall time is to be at most this share of theirs."""

PATIENCE = 60
"""Seconds that a run may take after a kill."""

Start = Callable[[str, Path], subprocess.Popen[str]]
"""Begins a run against the server at an address, in a folder that keeps what it has."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3, help="turns of the clean run")
    parser.add_argument("--json", type=Path, help="where to write the result")
    given = parser.parse_args()
    python = os.environ.get("ITUNE_DISTILABEL")
    if not python:
        sys.exit("set ITUNE_DISTILABEL to the Python of an environment that has distilabel; --help tells more")

    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        rows = folder / "rows.jsonl"
        with (data_folder() / "self_instruct" / "seed_tasks.jsonl").open(encoding="utf-8") as stream:
            asked = [json.loads(line)["instruction"] for line, _ in zip(stream, range(given.rows), strict=False)]
        rows.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in asked), "utf-8")
        contenders: dict[str, tuple[Start, Callable[[str, Path], int]]] = {
            THEIRS: (_distilabel(str(Path(python).absolute()), rows), lambda printed, _: _their_rows(printed)),
            OURS: (_itune(rows), lambda _, kept: _our_rows(kept)),
        }
        result: dict[str, Any] = {name: {"seconds": []} for name in contenders}
        for turn in range(given.repeats):
            for name, (start, count) in contenders.items():
                found = _whole(start, count, folder / "clean")
                result[name]["seconds"].append(found["seconds"])
                print(f"turn {turn + 1}/{given.repeats} {name}: {found}", file=sys.stderr)
                if found["rows"] != given.rows:
                    sys.exit(f"{name}: {found['rows']} rows of {given.rows}: this compares nothing")
        for name, (start, count) in contenders.items():
            result[name]["broken bodies"] = _whole(start, count, folder / "broken", "--fault", "garbage=0.05")
            result[name]["kill"] = _killed(start, count, folder / "killed", given.rows // 2)
    for name, found in result.items():
        print(f"{name}: {min(found['seconds']):.2f} s (median {statistics.median(found['seconds']):.2f})")
        print(f"  of {given.rows} rows with broken bodies: {found['broken bodies']}")
        print(f"  killed and begun again: {found['kill']}")
    share = min(result[OURS]["seconds"]) / min(result[THEIRS]["seconds"])
    print(f"wall time, {OURS} / {THEIRS}: {share:.2f}, goal {GOAL:.2f}")
    if given.json:
        whole = {"rows": given.rows, "goal": GOAL, "reached": share, "contenders": result, **facts()}
        given.json.write_text(json.dumps(whole, indent=2) + "\n", "utf-8")


def _itune(rows: Path) -> Start:
    def start(base_url: str, kept: Path) -> subprocess.Popen[str]:
        kept.mkdir(exist_ok=True)
        recipe = {
            "itune": 1,
            "name": "answers",
            "models": {"served": {"backend": "openai", "model": "m", "base_url": base_url, "timeout": 5}},
            "steps": {
                "rows": {"uses": "formatters/prompts", "with": {"path": str(rows)}},
                "said": {
                    "uses": "generators/distill",
                    "from": "rows",
                    "with": {"model": "served", "max_tokens": 64, "temperature": 0.7, "unfinished": "keep"},
                },
            },
        }
        (kept / "recipe.yaml").write_text(json.dumps(recipe), "utf-8")  # JSON is YAML
        return _begin([*ITUNE, "run", "recipe.yaml", "--offline"], kept)

    return start


def _our_rows(kept: Path) -> int:
    [artifact] = [
        found
        for path in (kept / ".itune" / "store").glob("*/artifact.json")
        if (found := json.loads(path.read_text("utf-8")))["component"] == "generators/distill"
    ]
    return int(artifact["outputs"]["records"]["rows"])


def _distilabel(python: str, rows: Path) -> Start:
    def start(base_url: str, kept: Path) -> subprocess.Popen[str]:
        kept.mkdir(exist_ok=True)
        return _begin(
            [python, str(PEERS / "distilabel_answers.py"), base_url, str(rows), str(kept / "cache"), "5"], kept
        )

    return start


def _their_rows(printed: str) -> int:
    found = json.loads(printed.splitlines()[-1])
    return int(found["rows"] - found["blank"])


def _begin(command: list[str], folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **THREADS, **QUIET, "ITUNE_HOME": str(folder / ".itune")},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def _whole(start: Start, count: Callable[[str, Path], int], kept: Path, *faults: str) -> dict[str, Any]:
    """Run once from nothing: wall seconds, rows that hold an answer, and what the server counted."""
    with _server(*faults) as (base_url, stats):
        began = time.perf_counter()
        process = start(base_url, kept)
        printed, _ = process.communicate()
        seconds = time.perf_counter() - began
        rows = count(printed, kept) if process.returncode == 0 else 0
        counted = stats()
    shutil.rmtree(kept)
    return {"seconds": seconds, "rows": rows, "exit": process.returncode, "requests": counted["requests"]}


def _killed(start: Start, count: Callable[[str, Path], int], kept: Path, after: int) -> dict[str, Any]:
    """Run, kill all its processes at `after` answers, run again."""
    # Not all at the same instant, or the kill would come while a whole burst of answers is being read.
    with _server("--jitter-ms", "100") as (base_url, stats):
        process = start(base_url, kept)
        while process.poll() is None and stats()["answered"] < after:
            time.sleep(0.01)
        _kill(process)
        before = stats()
        process = start(base_url, kept)
        try:
            printed, _ = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            _kill(process)
            return {"rows": 0, "answered before": before["answered"], "ended": False}
        rows = count(printed, kept) if process.returncode == 0 else 0
        found = {
            "rows": rows,
            "answered before": before["answered"],
            "answered again": stats()["answered_again"],
            "ended": True,
        }
    shutil.rmtree(kept)
    return found


def _kill(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@contextmanager
def _server(*faults: str) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """A test server: its address, and what it has counted so far."""
    command = [*ITUNE, "mock-llm", "--no-token", "--latency-ms", "200", "--json", *faults]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        ready = json.loads(server.stdout.readline())

        def stats() -> dict[str, Any]:
            with urlopen(ready["stats"]) as reply:
                found: dict[str, Any] = json.load(reply)
            return found

        try:
            yield ready["base_url"], stats
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
