"""What the novelty rule of Self-Instruct costs: ``filters/novelty`` against scoring every pair by ``rouge-score``.

Real instructions of Alpaca, in file order. What is timed of itune is the whole filter, over records in memory: reading
them, tokenising, every verdict. The reference is the loop of Self-Instruct: each instruction is scored with every one
kept before it (its code asks for all of them). It would take hours, so pairs are drawn from those that it scores, and
their time is counted for all. Two forms of it:

- *rouge-score*: ``RougeScorer.score`` of two texts, as in Self-Instruct;
- *rouge-score, tokenised before*: only the longest common subsequence, of lists of tokens, as in Stanford Alpaca.

On the first ``--checked`` instructions the loop is run whole: it must keep the same ones.

python benchmarks/novelty.py --json benchmarks/results/novelty.json
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from itertools import accumulate
from pathlib import Path
from typing import Any

import datasets
from real_rows import data_folder
from rouge_score.rouge_scorer import RougeScorer, _score_lcs
from rouge_score.tokenize import tokenize
from timing import facts

from itune_core.api import Keep, Kind, features, message, prompt
from itune_core.testing import BenchContext
from itune_filters.novelty import Novelty

TIMES, SECONDS = 1000.0, 60.0
"""Goals: how many times the reference is to cost, and most CPU seconds of all instructions."""

Pair = tuple[int, int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--pairs", type=int, default=3_000, help="pairs of the reference that are measured, a turn")
    parser.add_argument("--checked", type=int, default=1_000, help="first instructions that the reference decides")
    parser.add_argument("--repeats", type=int, default=3, help="turns; the least time counts")
    parser.add_argument("--json", type=Path, help="where to write the result")
    given = parser.parse_args()

    with gzip.open(data_folder() / "alpaca" / "alpaca_data.jsonl.gz", "rt", encoding="utf-8") as stream:
        everything = [json.loads(line)["instruction"] for line in stream]
    texts = everything[: given.rows]
    records = as_records(everything)
    kept_before: list[int] = []
    turns: list[dict[str, float]] = []
    for turn in range(given.repeats):
        spent, kept = filtered(records.select(range(len(texts))))
        kept_before = [0, *accumulate(kept)][:-1]
        pairs = drawn(kept, kept_before, given.pairs, seed=turn)
        scorer = RougeScorer(["rougeL"], use_stemmer=False)
        tokens = {row: tokenize(texts[row], None) for pair in pairs for row in pair}
        plain = timed(lambda pair, scorer=scorer: scorer.score(texts[pair[0]], texts[pair[1]]), pairs)
        before = timed(lambda pair, tokens=tokens: _score_lcs(tokens[pair[0]], tokens[pair[1]]), pairs)
        whole, kept_of_all = filtered(records)
        turns.append({"itune": spent, "pair": plain, "pair_tokenised": before, "itune_all": whole})
        print(f"turn {turn + 1}/{given.repeats}: {spent:.2f} s, all {whole:.1f} s", file=sys.stderr)

    checked = reference(texts[: given.checked])
    if checked != [bool(one) for one in kept[: given.checked]]:
        sys.exit("rouge-score keeps other instructions: this compares nothing")
    least = {name: min(turn[name] for turn in turns) for name in turns[0]}
    count = sum(kept_before)
    loops = {"rouge-score": least["pair"] * count, "rouge-score, tokenised before": least["pair_tokenised"] * count}
    print(f"{len(texts)} instructions, {sum(kept)} kept at 0.7; {count} pairs")
    print(f"{'':32}{'cpu s':>10}{'us a pair':>11}{'ratio':>9}")
    print(f"{'itune':32}{least['itune']:>10.2f}{least['itune'] / count * 1e6:>11.3f}{1:>8}x")
    for name, seconds in loops.items():
        print(f"{name:32}{seconds:>10.0f}{seconds / count * 1e6:>11.1f}{seconds / least['itune']:>8.0f}x")
    print(f"of the reference {given.pairs} pairs were measured a turn; the goal is {TIMES:.0f}x")
    print(f"the same decisions on the first {len(checked)}, {checked.count(False)} of them dropped")
    print(f"all {len(everything)}: {least['itune_all']:.1f} s, {sum(kept_of_all)} kept; the goal is {SECONDS:.0f} s")
    if given.json:
        result = {
            "rows": len(texts),
            "kept": sum(kept),
            "pairs": count,
            "pairs_measured": given.pairs,
            "checked": len(checked),
            "rows_of_all": len(everything),
            "kept_of_all": sum(kept_of_all),
            "goals": {"times": TIMES, "seconds_of_all": SECONDS},
            "ratios": {name: seconds / least["itune"] for name, seconds in loops.items()},
            "extrapolated": loops,
            "least": least,
            "turns": turns,
            "libraries": {name: version(name) for name in ("rapidfuzz", "rouge-score")},
            **facts(),
        }
        given.json.write_text(json.dumps(result, indent=2) + "\n", "utf-8")


def as_records(texts: Sequence[str]) -> datasets.Dataset:
    rows = [prompt([message("user", text)], id=str(number)) for number, text in enumerate(texts)]
    schema = features(Kind.PROMPT)
    return datasets.Dataset.from_dict({name: [row[name] for row in rows] for name in schema}, features=schema)


def filtered(records: datasets.Dataset) -> tuple[float, list[int]]:
    """CPU seconds of the filter, and 1 for each record that it keeps, 0 for the others.

    Raises:
        SystemExit: a record fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        filter_ = Novelty(Novelty.Config())
        began = time.process_time()
        verdicts = list(filter_.itune_filter(inputs={"records": records}, context=BenchContext(Path(folder))))
        spent = time.process_time() - began
    failed = [verdict for verdict in verdicts if type(verdict).__name__ == "Failed"]
    if failed:
        sys.exit(f"{len(failed)} instructions failed, the first with {failed[0]}")
    return spent, [int(verdict == Keep()) for verdict in verdicts]


def drawn(kept: Sequence[int], kept_before: Sequence[int], count: int, seed: int) -> list[Pair]:
    """Pairs, each as likely as any other, of those that the loop scores."""
    rng = random.Random(seed)
    places = [row for row, is_kept in enumerate(kept) if is_kept]
    rows = rng.choices(range(len(kept)), weights=kept_before, k=count)
    return [(row, places[rng.randrange(kept_before[row])]) for row in rows]


def timed(score: Callable[[Pair], Any], pairs: Sequence[Pair]) -> float:
    """CPU seconds of a pair."""
    began = time.process_time()
    for pair in pairs:
        score(pair)
    return (time.process_time() - began) / len(pairs)


def reference(texts: Sequence[str]) -> list[bool]:
    """Which instructions the loop keeps. It stops at the first that is too like: that changes no decision."""
    tokens = [tokenize(text, None) for text in texts]
    kept: list[int] = []
    for row in range(len(texts)):
        if all(_score_lcs(tokens[earlier], tokens[row]).fmeasure < 0.7 for earlier in kept):
            kept.append(row)
    return [row in set(kept) for row in range(len(texts))]


if __name__ == "__main__":
    main()
