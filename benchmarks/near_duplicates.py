"""What near duplicates cost: ``filters/near-duplicates`` against datasketch and py-data-juicer, in CPU time.

All rows of Alpaca, instruction, input and output as one text; shingles of five words, 128 permutations, a Jaccard
similarity of 0.7. What is timed is the work, from texts in memory to verdicts, in a process of each one's own:

- *itune*: the whole filter, over records, reading them included;
- *datasketch*: its MinHash in bulk and its LSH, and the same count over the shingles of what they find;
- *py-data-juicer*: its operator, over a data set. It counts nothing and cuts words at white space. It cannot be
  installed beside itune (it pins other versions), so ``--juicer`` names the Python of an environment that has it.

What datasketch drops we must drop too; its LSH lets more pairs slip than ours. What py-data-juicer drops is printed.

python benchmarks/near_duplicates.py --juicer /tmp/juicer/bin/python --json benchmarks/results/near_duplicates.json
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tempfile
from pathlib import Path

from contest import Goal, peer
from real_rows import data_folder
from timing import race, save, table

OURS, DATASKETCH, JUICER = "itune", "datasketch", "py-data-juicer"
GOALS = [Goal(OURS, DATASKETCH, 1 / 5), Goal(OURS, JUICER, 1.0)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=52_002)
    parser.add_argument("--repeats", type=int, default=3, help="turns; the least time counts")
    parser.add_argument("--juicer", help="a Python that has py-data-juicer; unset: it takes no part")
    parser.add_argument("--json", type=Path, help="where to write the result")
    given = parser.parse_args()

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        texts = folder / "texts.jsonl"
        with (
            gzip.open(data_folder() / "alpaca" / "alpaca_data.jsonl.gz", "rt", encoding="utf-8") as source,
            texts.open("w", encoding="utf-8") as target,
        ):
            for line, _ in zip(source, range(given.rows), strict=False):
                row = json.loads(line)
                target.write(json.dumps({"text": "\n".join(row.values())}) + "\n")
        contenders = [
            peer(OURS, "own_near_duplicates.py", texts, folder=folder),
            peer(DATASKETCH, "datasketch_near_duplicates.py", texts, folder=folder),
        ]
        if given.juicer:
            contenders.append(peer(JUICER, "juicer_near_duplicates.py", texts, folder=folder, python=given.juicer))
        race(contenders, given.repeats)

    named = {contender.name: contender for contender in contenders}
    dropped = {name: set(contender.turns[-1]["dropped"]) for name, contender in named.items()}
    print(table(contenders, contenders[0]))
    for name, rows in dropped.items():
        print(f"{name} drops {len(rows)}, {len(rows & dropped[OURS])} of them as itune does")
    reached = []
    for goal in GOALS:
        if goal.theirs in named:
            share = goal.reached(named)
            print(f"{goal.ours} / {goal.theirs}, CPU time: {share:.3f}, goal {goal.most:.2f}")
            reached.append({**goal._asdict(), "reached": share})
    save(given.json, contenders, contenders[0], rows=given.rows, goals=reached)
    if not dropped[DATASKETCH] <= dropped[OURS]:
        sys.exit("datasketch finds near duplicates that we do not: this compares nothing")


if __name__ == "__main__":
    main()
