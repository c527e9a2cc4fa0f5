"""Near duplicates by ``filters/near-duplicates``.

python own_near_duplicates.py TEXTS
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import datasets

from itune_core.api import Drop, Kind, features, text
from itune_core.testing import BenchContext
from itune_filters.near_duplicates import NearDuplicates


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as stream:
        rows = [text(json.loads(line)["text"], id=str(number)) for number, line in enumerate(stream)]
    schema = features(Kind.TEXT)
    records = datasets.Dataset.from_dict({name: [row[name] for row in rows] for name in schema}, features=schema)
    del rows
    filter_ = NearDuplicates(NearDuplicates.Config(threshold=0.7, size=5))
    began = time.process_time()
    verdicts = list(filter_.itune_filter(inputs={"records": records}, context=BenchContext(Path.cwd())))
    spent = time.process_time() - began
    dropped = [number for number, verdict in enumerate(verdicts) if isinstance(verdict, Drop)]
    print(json.dumps({"cpu": spent, "dropped": dropped}))


if __name__ == "__main__":
    main()
