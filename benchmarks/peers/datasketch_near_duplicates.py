"""Near duplicates by datasketch: its MinHash, 128 permutations, in bulk; its LSH; and what it finds is counted over the
shingles, as our filter does.

python datasketch_near_duplicates.py TEXTS
"""

from __future__ import annotations

import json
import sys
import time

from datasketch import MinHash, MinHashLSH

from itune_filters.likeness.tokens import split

THRESHOLD, SIZE, PERMUTATIONS = 0.7, 5, 128


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as stream:
        texts = [json.loads(line)["text"] for line in stream]
    MinHash.bulk([[b"a"]], num_perm=PERMUTATIONS)  # what it loads at first use is not timed
    began = time.process_time()
    sets = [shingles(text) for text in texts]
    lsh = MinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS)
    dropped = []
    for number, signature in enumerate(MinHash.generator(sets, num_perm=PERMUTATIONS)):
        own = sets[number]
        if any(len(own & sets[other]) / len(own | sets[other]) >= THRESHOLD for other in lsh.query(signature)):
            dropped.append(number)
        else:
            lsh.insert(number, signature, check_duplication=False)
    spent = time.process_time() - began
    print(json.dumps({"cpu": spent, "dropped": dropped}))


def shingles(text: str) -> set[bytes]:
    words = split(text, "words")
    return {" ".join(words[start : start + SIZE]).encode() for start in range(max(len(words) - SIZE + 1, 1))}


if __name__ == "__main__":
    main()
