"""Near duplicates by py-data-juicer's operator ``document_minhash_deduplicator``, with 128 permutations as the others.
It splits at white space, does not count what it finds, and joins chains of near duplicates.

python juicer_near_duplicates.py TEXTS

It runs in an environment of its own, without itune: it pins other versions of what both need.
"""

from __future__ import annotations

import json
import sys
import time

import datasets
from data_juicer.core.data import NestedDataset
from data_juicer.ops.deduplicator.document_minhash_deduplicator import DocumentMinhashDeduplicator


def main() -> None:
    datasets.disable_progress_bars()
    datasets.disable_caching()
    with open(sys.argv[1], encoding="utf-8") as stream:
        texts = [json.loads(line)["text"] for line in stream]
    rows = NestedDataset(datasets.Dataset.from_dict({"text": texts, "number": list(range(len(texts)))}))
    operator = DocumentMinhashDeduplicator(window_size=5, num_permutations=128, jaccard_threshold=0.7, num_proc=1)
    began = time.process_time()
    kept = set(operator.run(rows)["number"])
    spent = time.process_time() - began
    print(json.dumps({"cpu": spent, "dropped": [number for number in range(len(texts)) if number not in kept]}))


if __name__ == "__main__":
    main()
