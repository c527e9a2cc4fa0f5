"""What greedy selection by similarity costs: ``filters/diverse`` against a loop over single rows, in CPU time.

10,000 instructions of Alpaca are embedded once with ``embedded:minilm`` (384 coordinates), outside of the timing. Then
each contender decides on the same vectors in the same order, row by row: keep it if its cosine to every one kept before
is at most 0.9. What is timed is the selection alone, without reading, embedding and writing. Contenders:

- *itune*: the blocks of ``filters/diverse``;
- *a product a row*: a loop that multiplies the kept vectors with each row, in a matrix that is never copied;
- *DEITA's loop*: what https://github.com/hkust-nlp/deita does for each row, with numpy for torch: it gathers the kept
  rows anew and divides them and the row by their lengths, twice.

All must keep the same rows.

python benchmarks/diverse.py --json benchmarks/results/diverse.json
"""

from __future__ import annotations

import os

from timing import THREADS, facts

os.environ.update(THREADS)  # before numpy is imported

import argparse
import gzip
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from real_rows import data_folder

from itune_core.engine.digest import FileDigests
from itune_core.engine.models import Resolver
from itune_filters.diverse import BLOCK
from itune_filters.likeness.kept import Kept

GOAL = 50.0
"""Times that DEITA's loop is to cost."""

Matrix = np.ndarray[Any, np.dtype[np.float32]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--threshold", type=float, default=0.9)
    parser.add_argument("--repeats", type=int, default=3, help="turns; the least time counts")
    parser.add_argument(
        "--vectors", type=Path, help="keep the vectors in this file (.npy); taken from it if it is there"
    )
    parser.add_argument("--json", type=Path, help="where to write the result")
    given = parser.parse_args()

    vectors = _vectors(given.rows, given.vectors)
    turns: list[dict[str, float]] = []
    for turn in range(given.repeats):
        times, found = {}, []
        for name, select in CONTENDERS.items():
            began = time.process_time()
            found.append(select(vectors, given.threshold))
            times[name] = time.process_time() - began
            print(f"turn {turn + 1}/{given.repeats} {name}: {times[name]:.2f} s", file=sys.stderr)
        if any(kept != found[0] for kept in found):
            sys.exit("not all keep the same rows: this compares nothing")
        turns.append(times)

    least = {name: min(turn[name] for turn in turns) for name in CONTENDERS}
    ratio = least["DEITA's loop"] / least["itune"]
    kept = len(found[0])
    print(f"{len(vectors)} rows of {vectors.shape[1]} coordinates; all keep the same {kept} at {given.threshold}")
    print(f"{'':24}{'cpu s':>9}{'ratio':>9}")
    for name, seconds in least.items():
        print(f"{name:24}{seconds:>9.2f}{seconds / least['itune']:>8.1f}x")
    print(f"DEITA's loop costs {ratio:.0f} times as much, the goal is {GOAL:.0f}")
    if given.json:
        settings = {"rows": len(vectors), "threshold": given.threshold, "kept": kept}
        result = {**settings, "goal": GOAL, "ratio": ratio, "least": least, "turns": turns, **facts()}
        given.json.write_text(json.dumps(result, indent=2) + "\n", "utf-8")


def by_blocks(vectors: Matrix, threshold: float) -> list[int]:
    """The rows that `filters/diverse` keeps."""
    before = Kept(threshold)
    kept: list[int] = []
    for start in range(0, len(vectors), BLOCK):
        near = before.offer(vectors[start : start + BLOCK])
        kept.extend(start + row for row, neighbour in enumerate(near) if neighbour is None)
    return kept


def by_products(vectors: Matrix, threshold: float) -> list[int]:
    """The rows that a loop keeps, with the kept vectors in one growing matrix."""
    matrix = np.empty_like(vectors)
    kept: list[int] = []
    for row, vector in enumerate(vectors):
        if not kept or (matrix[: len(kept)] @ vector).max() <= threshold:
            matrix[len(kept)] = vector
            kept.append(row)
    return kept


def by_deita(vectors: Matrix, threshold: float) -> list[int]:
    """The rows that DEITA's loop keeps."""
    kept = [0]
    for row in range(1, len(vectors)):
        existing, current = vectors[kept], vectors[row : row + 1]
        for _ in range(2):
            existing = existing / np.linalg.norm(existing, axis=1)[:, None]
            current = current / np.linalg.norm(current, axis=1)[:, None]
        if not (current @ existing.T > threshold).any():
            kept.append(row)
    return kept


CONTENDERS: dict[str, Callable[[Matrix, float], list[int]]] = {
    "itune": by_blocks,
    "a product a row": by_products,
    "DEITA's loop": by_deita,
}


def _vectors(rows: int, path: Path | None) -> Matrix:
    """Unit vectors of the first so many different instructions, shuffled with seed 0."""
    if path is not None and path.exists():
        found: Matrix = np.load(path)
        return found[:rows]
    from itune_torch import embed, load_embedder

    with gzip.open(data_folder() / "alpaca" / "alpaca_data.jsonl.gz", "rt", encoding="utf-8") as stream:
        texts = list(dict.fromkeys(json.loads(line)["instruction"] for line in stream))
    random.Random(0).shuffle(texts)
    with tempfile.TemporaryDirectory() as folder:
        resolver = Resolver(FileDigests(Path(folder) / "digests.json"), offline=False, base=Path(folder))
        embedder = load_embedder(resolver.find("embedded:minilm"))
    began = time.process_time()
    made: Matrix = embed(embedder, texts[:rows])
    print(f"embedded {rows} instructions in {time.process_time() - began:.0f} s CPU", file=sys.stderr)
    if path is not None:
        np.save(path, made)
    return made


if __name__ == "__main__":
    main()
