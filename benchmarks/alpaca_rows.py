"""The rows that the training benchmarks train on: the first of a fixed shuffle of Alpaca that are short enough."""

from __future__ import annotations

import gzip
import json
import os
import random
import sys
from pathlib import Path
from typing import Any

LONGEST = 384
"""Most tokens of a row, rendered with the model's template."""


def data_folder() -> Path:
    """Where the real rows are (``ITUNE_TEST_DATA``; default: ``shared/data`` beside the repository)."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("ITUNE_TEST_DATA", default))
    if not (folder / "alpaca" / "alpaca_data.jsonl.gz").is_file():
        sys.exit(f"no Alpaca rows in {folder}: set ITUNE_TEST_DATA to a folder that has alpaca/alpaca_data.jsonl.gz")
    return folder


def alpaca_rows(tokenizer: Any, count: int) -> list[dict[str, Any]]:
    """`count` conversations: shuffled with seed 0, with an answer, of at most :data:`LONGEST` tokens."""
    with gzip.open(data_folder() / "alpaca" / "alpaca_data.jsonl.gz", "rt", encoding="utf-8") as stream:
        source = [json.loads(line) for line in stream]
    random.Random(0).shuffle(source)
    rows: list[dict[str, Any]] = []
    for row in source:
        if not row["output"].strip():
            continue
        ask = row["instruction"] + ("\n" + row["input"] if row["input"] else "")
        messages = [{"role": "user", "content": ask}, {"role": "assistant", "content": row["output"]}]
        if len(tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False)) <= LONGEST:
            rows.append({"messages": messages})
            if len(rows) == count:
                break
    return rows


def write_jsonl(rows: list[dict[str, Any]], path: Path) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path
