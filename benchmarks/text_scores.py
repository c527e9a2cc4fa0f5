"""Scoring text: all 52,002 Alpaca rows by length and by MTLD, in CPU time of whole processes on one thread.

Each turn is an ``itune run`` from an empty store: it reads the file, formats its rows and scores them. Rows without an
answer become no record, and are counted. One more contender counts tokens too. Characters and words are checked against
a plain loop over all records, and the words of MTLD's failures against what it says of them.

python benchmarks/text_scores.py --repeats 3 --json benchmarks/results/text_scores.json
"""

from __future__ import annotations

import argparse
import gzip
import sys
import tempfile
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
from real_rows import data_folder
from timing import Contender, race, save, spent, table

from itune_core.api import records
from itune_scorers.text.words import words

ROWS = 52_002
GOAL = 20.0
"""CPU seconds of the whole process."""
ITUNE = (sys.executable, "-m", "itune_core.cli.main")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=ROWS, help="the first so many of the file")
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--json", type=Path, help="where to write the result")
    given = arguments.parse_args()

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        rows = _first(data_folder() / "alpaca" / "alpaca_data.jsonl.gz", given.rows, folder / "rows.jsonl")
        base = _contender(folder, rows, "length and MTLD", "{}")
        tokens = _contender(folder, rows, "length with tokens, and MTLD", "{model: student}")
        race([base, tokens], given.repeats)

    print(table([base, tokens], base))
    for contender in (base, tokens):
        shown = ", ".join(f"{name} {value:,}" for name, value in contender.turns[-1].items() if name != "cpu")
        print(f"{contender.name}: {shown}")
    print(f"goal: {base.name} in at most {GOAL:.0f} s")
    save(given.json, [base, tokens], base, rows=given.rows, goal=GOAL)


def _first(source: Path, count: int, path: Path) -> Path:
    """The rows that take part: the file itself if it is all of them."""
    if count >= ROWS:
        return source
    with gzip.open(source, "rt", encoding="utf-8") as lines, path.open("w", encoding="utf-8") as written:
        written.writelines(islice(lines, count))
    return path


def _contender(folder: Path, rows: Path, name: str, settings: str) -> Contender:
    own = folder / name.replace(" ", "-")
    own.mkdir()
    lines = [
        "itune: 1",
        "name: text-scores",
        "models: {student: {backend: transformers, model: 'embedded:smollm2-135m'}}",
        "steps:",
        f"  rows: {{uses: formatters/alpaca, with: {{path: {rows}}}}}",
        f"  size: {{uses: scorers/length, from: rows, with: {settings}}}",
        "  variety: {uses: scorers/mtld, from: size, max_failed: 0.5}",  # answers without a repetition have none
    ]
    if "student" not in settings:
        lines.remove(lines[2])
    (own / "recipe.yaml").write_text("\n".join(lines) + "\n", "utf-8")

    def run(turn: int) -> dict[str, Any]:
        home = own / f"home-{turn}"
        used = spent([*ITUNE, "run", "recipe.yaml"], folder=own, environment={"ITUNE_HOME": str(home)})
        return {"cpu": used.cpu, **_checked(home)}

    return Contender(name, run)


def _checked(home: Path) -> dict[str, int]:
    """How many records were scored.

    Raises:
        SystemExit: a score is not what a plain loop says.
    """
    (saved,) = home.glob("store/**/records")
    made = datasets.load_from_disk(str(saved))
    columns: dict[str, list[Any]] = {}
    for path in home.glob("store/**/columns.arrow"):
        with pa.memory_map(str(path)) as file:
            columns |= pa.ipc.open_file(file).read_all().to_pydict()
    scored = _rows(columns)
    undefined = 0
    for record, scores in zip(records(made), scored, strict=True):
        *asked, answer = (turn["content"] for turn in record["messages"])
        for part, contents in (("prompt", asked), ("response", [answer]), ("total", [*asked, answer])):
            _agree(record["id"], scores[f"score.size.{part}_characters"], sum(map(len, contents)))
            _agree(record["id"], scores[f"score.size.{part}_words"], sum(len(each.split()) for each in contents))
        said = words(answer, "spaced")
        if scores["score.variety"] is None:
            undefined += 1
            _agree(record["id"], len(set(said)), len(said))
        else:
            _agree(record["id"], scores["score.variety.words"], len(said))
    return {"records": len(made), "without MTLD": undefined}


def _rows(columns: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    return (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))


def _agree(record: str, scored: int, plain: int) -> None:
    if scored != plain:
        sys.exit(f"record {record} was scored {scored}, and a plain loop says {plain}")


if __name__ == "__main__":
    main()
